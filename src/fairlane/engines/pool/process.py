"""A worker as a process of its own.

In: messages from its driver, through the pipe that was its standard input. Out: messages, through the one
that was its standard output. It ends when the driver does, however that ends.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings
from functools import partial
from typing import BinaryIO

import keras

from fairlane.engines.pool import messages
from fairlane.engines.pool.boxes import Boxes
from fairlane.engines.pool.serving import end_now, serve
from fairlane.engines.workers import messages as line
from fairlane.engines.workers.line import Printer, pass_warning_on
from fairlane.models import keras_private

SECONDS_BETWEEN_SIGNS = 1.0
"""How often a worker says that it lives."""


def main(read: int, write: int) -> None:
    """Serve one driver, until it ends.

    Args:
        read: the file descriptor to read messages from.
        write: the file descriptor to write them to.
    """
    if keras.backend.backend() == "jax":
        keras_private.without_tensorflow()
    pipe = PipeLine(os.fdopen(read, "rb"), os.fdopen(write, "wb"))
    sys.stdout = Printer(pipe)  # type: ignore[arg-type]
    warnings.showwarning = partial(pass_warning_on, pipe)  # type: ignore[arg-type]
    serve(pipe)


class PipeLine(Boxes):
    """The line to the driver: threads of its own read and write, whatever the main thread does."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        super().__init__()
        self._incoming, self._outgoing = incoming, outgoing
        self._driver = os.getppid()
        for target in (self._listen, self._say, self._live):
            threading.Thread(target=target, daemon=True, name="fairlane line").start()

    def _live(self) -> None:
        """Give signs of life; end with the driver even where a fork of it holds the other end of the line."""
        while os.getppid() == self._driver:
            if self.alive():
                self.signal(messages.Alive())
            time.sleep(SECONDS_BETWEEN_SIGNS)
        end_now()

    def _listen(self) -> None:
        while True:
            try:
                message = line.receive(self._incoming)
            except Exception:
                end_now()
            self.arrived(message)

    def _say(self) -> None:
        while True:
            said = self.said()
            try:
                line.send(self._outgoing, said)
            except OSError:
                end_now()
            self.gone(said)
