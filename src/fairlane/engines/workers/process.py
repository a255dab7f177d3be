"""The worker processes of this session: started when first needed, kept for the next study, ended with it.

In: nothing. Out: a `Process` to talk to. One serves one study at a time; there are more only where studies
run in several threads. Each is started as a program of its own, so that no script of the user's runs twice.
"""

from __future__ import annotations

import atexit
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

from fairlane.engines.workers import messages
from fairlane.errors import FairlaneError

_BOOT = """\
import os
read, write = os.dup(0), os.dup(1)
nothing = os.open(os.devnull, os.O_RDONLY)
os.dup2(nothing, 0)
os.dup2(2, 1)
from fairlane.kit.lean_keras import import_keras
import_keras()
from fairlane.engines.workers.main import main
main(read, write)
"""

_KILLED = -9
_SECONDS_TO_END = 5.0


class WorkerDied(FairlaneError):
    """The worker process is no more; the message says how it ended."""


class Process:
    """A worker process.

    Attributes:
        pid: its number.
        ready: whether it has said that it is.
        modules: the session's own modules, as they were when it may have loaded them.
    """

    def __init__(self) -> None:
        self._log: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._owner = os.getpid()
        self.ready = False
        self.modules = user_modules()
        try:
            self._popen = subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOT],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=_environment(),
                start_new_session=True,  # Ctrl-C in the terminal is for the session to answer
            )
        except (OSError, ValueError) as error:
            self._log.close()
            raise WorkerDied(
                f"it can't be started with {sys.executable!r} ({type(error).__name__}: {error})"
            ) from error
        self.pid = self._popen.pid
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True, name="fairlane worker").start()

    @property
    def usable(self) -> bool:
        """Whether it lives, belongs to this process, and knows this session's modules as they are now."""
        mine = self._owner == os.getpid() and self._popen.poll() is None
        return mine and not changed(self.modules)

    def send(self, message: Any) -> None:
        """Tell it something.

        Raises:
            WorkerDied: it is no more.
        """
        assert self._popen.stdin is not None
        try:
            messages.send(self._popen.stdin, message)  # type: ignore[arg-type]
        except OSError as error:
            raise self._death() from error

    def receive(self, timeout: float | None = None) -> Any:
        """What it says next.

        Args:
            timeout: seconds to wait at most.

        Raises:
            WorkerDied: it is no more.
            queue.Empty: it has said nothing in time.
        """
        message = self._inbox.get(timeout=timeout)
        if message is None:
            raise self._death()
        self.ready = True
        return message

    def end(self) -> None:
        """End it, by force if it does not at once."""
        if self._owner != os.getpid():
            return
        self._hang_up()
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(_SECONDS_TO_END)
        self.kill()

    def kill(self) -> None:
        """End it by force."""
        if self._owner != os.getpid():
            return
        self._popen.kill()
        self._popen.wait()
        self._hang_up()
        self._log.close()

    def _hang_up(self) -> None:
        assert self._popen.stdin is not None
        with suppress(OSError):  # what was not sent any more
            self._popen.stdin.close()

    def _listen(self) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as pipe:
            try:
                while True:
                    self._inbox.put(messages.receive(pipe))  # type: ignore[arg-type]
            except Exception:
                self._inbox.put(None)

    def _death(self) -> WorkerDied:
        try:
            code = self._popen.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            code = self._popen.wait()
        self._inbox.put(None)
        if code == _KILLED:
            return WorkerDied("it was killed (signal 9), often because memory ran out")
        how = f"it was ended by signal {-code}" if code < 0 else f"it ended with exit code {code}"
        last = self._last_words()
        return WorkerDied(f"{how}: {last}" if last else how)

    def _last_words(self) -> str:
        """The last line that it wrote to standard error."""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else ""


_idle: list[Process] = []
_lock = threading.Lock()


def borrow() -> Process:
    """A process that nobody else talks to; a new one where there is none.

    Raises:
        WorkerDied: it can't be started.
    """
    with _lock:
        while _idle:
            process = _idle.pop()
            if process.usable:
                process.modules = user_modules() | process.modules
                return process
            process.end()
    return Process()


def give_back(process: Process) -> None:
    """Keep a process for the next study."""
    with _lock:
        _idle.append(process)


def idle() -> list[int]:
    """The numbers of the processes that wait for a study."""
    with _lock:
        return [process.pid for process in _idle]


@atexit.register
def end_all() -> None:
    """End all processes that wait for a study."""
    with _lock:
        while _idle:
            _idle.pop().end()


def _environment() -> dict[str, str]:
    """The session's, with Keras on JAX, and not all of an accelerator's memory for JAX alone."""
    environment = {k: v for k, v in os.environ.items() if k != "FAIRLANE_GUARD"}
    environment.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {**environment, "KERAS_BACKEND": "jax", "PYTHONPATH": path}


def user_modules() -> dict[str, int]:
    """The source files of the modules that are loaded and not installed, with their time of change."""
    installed = tuple({sys.prefix, sys.base_prefix, sys.exec_prefix})
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    times: dict[str, int] = {}
    for file in files:
        if isinstance(file, str) and not file.startswith(installed):
            try:
                times[file] = os.stat(file).st_mtime_ns
            except OSError:
                continue
    return times


def changed(modules: dict[str, int]) -> bool:
    """Whether one of these source files is another now."""
    now: Callable[[str], int | None] = user_modules().get
    return any(now(file) not in (None, time) for file, time in modules.items())
