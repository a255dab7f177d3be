"""A crew of processes on this machine.

In: how many, and the environment of each. Out: a `fairlane.engines.pool.crew.Crew`. Each process is a program
of its own, so that no script of the user's runs twice. It ends when this process does, however that ends.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import keras

from fairlane.engines.pool.crew import Environment, Lost, Member
from fairlane.engines.pool.messages import Alive, Kind, Ready
from fairlane.engines.pool.packed import Packed, hold_open
from fairlane.engines.workers import messages as line
from fairlane.engines.workers.parcel import Parcel, Segments, attached
from fairlane.kit.error_text import one_line

_BOOT = """\
import os
read, write = os.dup(0), os.dup(1)
nothing = os.open(os.devnull, os.O_RDONLY)
os.dup2(nothing, 0)
os.dup2(2, 1)
from fairlane.kit.lean_keras import import_keras
import_keras()
from fairlane.engines.pool.process import main
main(read, write)
"""

_SECONDS_TO_END = 5.0
_KILLED = -9


@dataclass(frozen=True)
class Shared:
    """An object in shared memory, opened without a copy of its arrays where these are read only.

    Attributes:
        parcel: the object.
        copies: whether each process has its own copies of the arrays.
    """

    parcel: Parcel
    copies: bool = False

    def open(self) -> Any:
        """The object."""
        if self.copies or self.parcel.segment is None:
            return self.parcel.open()
        shared = attached(self.parcel.segment)
        hold_open(shared)
        return self.parcel.view(shared)


class Process:
    """A worker process.

    Attributes:
        name: what messages call it.
        pid: its number.
        threads: how many chunks of lanes it runs at once.
        kinds: the engines that it can run.
        ready: whether it has said that it is.
        heard: when it gave the last sign of life.
    """

    def __init__(self, number: int, environment: Environment, threads: int | None, inbox: _Inbox) -> None:
        self.threads, self.kinds = threads, frozenset(Kind)
        self.ready, self.heard = False, time.monotonic()
        self._inbox, self._dismissed = inbox, False
        self._lock = threading.Lock()
        self._log: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-c", _BOOT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=_environment(environment),
            start_new_session=True,  # Ctrl-C in the terminal is for the session to answer
        )
        self.pid = self._popen.pid
        self.name = f"worker {number} (process {self.pid})"
        threading.Thread(target=self._listen, daemon=True, name="fairlane pool").start()

    def send(self, message: Any) -> None:
        """Tell it something; where it is lost, nothing happens."""
        assert self._popen.stdin is not None
        with self._lock, suppress(OSError, ValueError):
            line.send(self._popen.stdin, message)  # type: ignore[arg-type]

    def end(self, force: bool) -> None:
        """End it: by force at once, or where it does not end by itself."""
        self._dismissed = True
        if not force:
            self.hang_up()
            with suppress(subprocess.TimeoutExpired):
                self._popen.wait(_SECONDS_TO_END)
        self._popen.kill()
        self._popen.wait()
        self.hang_up()
        with suppress(ValueError):
            self._log.close()

    def hang_up(self) -> None:
        """Close the line to it, upon which it ends."""
        assert self._popen.stdin is not None
        with suppress(OSError, ValueError):
            self._popen.stdin.close()

    def _listen(self) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as pipe:
            try:
                while True:
                    said = line.receive(pipe)  # type: ignore[arg-type]
                    self.ready, self.heard = True, time.monotonic()
                    for message in said:
                        if not isinstance(message, Ready | Alive):
                            self._inbox.put((self, message))
            except Exception as error:
                if not self._dismissed:
                    self._inbox.put((self, Lost(self._how_it_ended(error), self.ready)))

    def _how_it_ended(self, error: Exception) -> str:
        try:
            code = self._popen.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            code = self._popen.wait()
            return f"said something that can't be read ({one_line(error)})"
        if code == _KILLED:
            return "was killed (signal 9), often because memory ran out"
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        last = self._last_words()
        return f"{how}: {last}" if last else how

    def _last_words(self) -> str:
        """The last line that it wrote to standard error."""
        with suppress(ValueError):
            self._log.seek(0)
            lines = self._log.read().decode(errors="replace").strip().splitlines()
            return lines[-1].strip() if lines else ""
        return ""


_Inbox = queue.SimpleQueue[tuple[Process, Any]]


@dataclass(eq=False)
class LocalCrew:
    """Processes on this machine.

    Args:
        environments: of each.
        threads: how many chunks of lanes each runs at once; None for its engine's own choice.
    """

    environments: Sequence[Mapping[str, str]]
    threads: int | None = None
    _places: dict[int, Process] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder: str | None = os.getcwd()
        self._inbox: _Inbox = queue.SimpleQueue()
        self._segments = Segments()
        self._owner = os.getpid()
        self._number = 0
        weakref.finalize(self, _end, self._places, self._segments, self._owner)
        self.replenish()

    def members(self) -> Sequence[Process]:
        """Those that were started and are not lost."""
        return list(self._places.values())

    def replenish(self) -> Sequence[Process]:
        """Start processes in place of lost ones; the new ones."""
        new = []
        for place, environment in enumerate(self.environments):
            if place not in self._places:
                process = Process(self._number, environment, self.threads, self._inbox)
                self._number += 1
                self._places[place] = process
                new.append(process)
        return new

    def receive(self, seconds: float) -> tuple[Process, Any] | None:
        """What a process says next, or that it is lost."""
        try:
            member, message = self._inbox.get(timeout=seconds) if seconds else self._inbox.get_nowait()
        except queue.Empty:
            return None
        if member not in self._places.values():
            return self.receive(0)
        if isinstance(message, Lost):
            self.dismiss(member)
        return member, message

    def dismiss(self, member: Member) -> None:
        """End a process by force."""
        for place, there in list(self._places.items()):
            if there is member:
                del self._places[place]
                there.end(force=True)

    def pack(self, value: Any, copies: bool = False) -> Packed:
        """Pack an object into shared memory."""
        # Torch warns of arrays that it may not write to.
        return Shared(self._segments.pack(value), copies or keras.backend.backend() == "torch")

    def forget(self, packed: Sequence[Packed]) -> None:
        """Unlink the shared memory of packed objects."""
        for one in packed:
            assert isinstance(one, Shared)
            self._segments.release(one.parcel)

    def end(self) -> None:
        """End all processes, and unlink all shared memory."""
        _end(self._places, self._segments, self._owner)


def _end(places: dict[int, Process], segments: Segments, owner: int) -> None:
    if os.getpid() != owner:  # a fork of the session: nothing of it is its own
        return
    try:
        for process in places.values():
            process.hang_up()  # all at once, then wait for each
        while places:
            places.popitem()[1].end(force=False)
    finally:
        segments.close()


def _environment(changed: Environment) -> dict[str, str]:
    """The session's, with its backend, and not all of an accelerator's memory for one process."""
    own = {k: v for k, v in os.environ.items() if k != "FAIRLANE_GUARD"}
    own.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    made = {**own, "KERAS_BACKEND": keras.backend.backend(), "PYTHONPATH": path, **changed}
    return {name: value for name, value in made.items() if value}
