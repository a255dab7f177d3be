"""What events cost the driver of many workers: ``python many_workers.py [small] [memory] [sqlite]``.

The workers train nothing: they sleep as long as their epochs would take, and say what workers say, each at a
socket of its own. The driver, its store and its threads are the real ones. Prints how long a study takes, how
long its trials sleep, and the processor time of the driver's process per event.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import queue
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np

import _sleepers
from fairlane.engines.contract import Job
from fairlane.engines.pool.messages import Alive, Kind, Ready
from fairlane.engines.resources import Builder, Resources, TrainingData
from fairlane.engines.workers import messages as line
from fairlane.running.driver import Driver
from fairlane.store import MemoryStore, written
from fairlane.trials import Trial, Variant


class Connection:
    """A worker, as `fairlane.engines.pool.on_ray.Worker` is one: one thread reads what all of them say."""

    threads, kinds, ready = None, frozenset(Kind), True

    def __init__(self, crew: SleepingCrew, number: int, path: str) -> None:
        self.name, self._crew, self.heard = f"worker {number}", crew, time.monotonic()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._out = self._socket.makefile("wb")

    def send(self, message: Any) -> None:
        """Tell it something."""
        line.send(self._out, message)  # type: ignore[arg-type]

    async def listen(self) -> None:
        """Take in what it says, to its end."""
        reader, _ = await asyncio.open_connection(sock=self._socket.dup())
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                size = int.from_bytes(await reader.readexactly(8), "little")
                for message in pickle.loads(await reader.readexactly(size)):
                    self.heard = time.monotonic()
                    if not isinstance(message, Ready | Alive):
                        self._crew.inbox.put((self, message))

    def end(self) -> None:
        """Hang up."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class SleepingCrew:
    """Workers that sleep, in one process."""

    folder = None

    def __init__(self, workers: int, path: str) -> None:
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._members = [Connection(self, number, path) for number in range(workers)]
        threading.Thread(target=asyncio.run, args=(self._listen(),), daemon=True).start()

    async def _listen(self) -> None:
        await asyncio.gather(*(member.listen() for member in self._members))

    def members(self) -> list[Connection]:
        """All of them."""
        return self._members

    def replenish(self) -> list[Connection]:
        """None is lost."""
        return []

    def receive(self, seconds: float) -> Any:
        """What was said first."""
        with suppress(queue.Empty):
            return self.inbox.get(timeout=seconds) if seconds else self.inbox.get_nowait()
        return None

    def dismiss(self, member: Connection) -> None:
        """End one."""
        member.end()

    def pack(self, value: Any, copies: bool = False) -> Any:
        """Nobody opens it."""
        return None

    def forget(self, packed: Any) -> None:
        """Nothing was packed."""

    def end(self) -> None:
        """End all."""
        for member in self._members:
            member.end()


@contextmanager
def sleeping(workers: int, epochs: int, seconds: float) -> Any:
    """A crew of workers that sleep."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "socket"))
        command = [sys.executable, _sleepers.__file__, path, str(epochs), str(seconds)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        crew = SleepingCrew(workers, path)
        try:
            yield crew
        finally:
            crew.end()
            process.communicate()


def measured(workers: int, trials: int, epochs: int, seconds: float, kind: str) -> None:
    """Print what a study costs."""
    data = {"x": np.zeros((2, 1), "float32"), "y": np.zeros(2, "float32")}
    shared = Resources({"builder": Builder(lambda trial: None)}, {"data": TrainingData(data)})
    every = [Trial(i, Variant(i, {"learning_rate": 1.0 / (i + 1)}), seed=0) for i in range(trials)]
    with tempfile.TemporaryDirectory() as folder, sleeping(workers, epochs, seconds) as crew:
        store: Any = MemoryStore()
        if kind == "sqlite":
            store = written(str(Path(folder, "runs.db")), "many", {}, {}, "never")
        begun = time.perf_counter()
        adopted = store.adopt(every, [epochs] * trials)
        added = time.perf_counter() - begun
        jobs = [Job(trial, "builder", "data", arguments={"epochs": epochs}) for trial in adopted]
        began, busy = time.perf_counter(), time.process_time()
        Driver(store, "lanes", "record", None, lambda record: None, crew=crew).run(jobs, shared, False)
        store.close()
        took, busy = time.perf_counter() - began, time.process_time() - busy
    assert all(str(record.state) == "done" for record in store)
    slept = -(-trials // (workers * _sleepers.AT_ONCE)) * epochs * seconds
    events = trials * (epochs + 2)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(
        f"{workers} workers, {trials} trials × {epochs} epochs of {seconds:g} s, {kind}: {took:.0f} s, "
        f"of which the trials sleep {slept:.0f} s; {events / took:.0f} events per second; "
        f"{1e6 * busy / events:.0f} µs of processor time per event; the trials' rows before: {added:.1f} s; "
        f"{memory:.0f} MiB; load {os.getloadavg()[0]:.0f}",
        flush=True,
    )


if __name__ == "__main__":
    chosen = sys.argv[1:] or ["small", "memory", "sqlite"]
    if "small" in chosen:
        for many in (1, 10, 100):
            measured(many, 4000, 5, 0.0, "memory")
        measured(100, 4000, 5, 0.0, "sqlite")
    for kind in ("memory", "sqlite"):
        if kind in chosen:
            measured(1000, 100_000, 5, 2.0, kind)
            measured(1000, 100_000, 5, 0.0, kind)
