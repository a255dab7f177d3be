"""A crew of actors on the nodes of a Ray cluster.

In: what each actor needs. Out: a `fairlane.engines.pool.crew.Crew`. Data go to each node once, through Ray's
object store. Ray itself retries and restarts nothing: what a lost actor had is given out again by the pool
engine.
"""

from __future__ import annotations

import asyncio
import copy
import os
import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import keras
import ray

from fairlane.engines.pool.actor import Actor
from fairlane.engines.pool.crew import Lost, Member
from fairlane.engines.pool.messages import Alive, Kind, Ready
from fairlane.engines.pool.packed import Packed
from fairlane.errors import StudyError
from fairlane.kit.error_text import one_line

_CACHES = ("FAIRLANE_CACHE", "JAX_COMPILATION_CACHE_DIR")


@dataclass(frozen=True)
class Stored:
    """An object in Ray's object store; its arrays are read only, and one for all actors of a node.

    Attributes:
        reference: Ray's own.
        copies: whether each actor has its own copies of the arrays.
    """

    reference: Any
    copies: bool = False

    def open(self) -> Any:
        """The object."""
        value = ray.get(self.reference)
        return copy.deepcopy(value) if self.copies else value


class Worker:
    """An actor, as the driver sees it.

    Attributes:
        name: what messages call it.
        threads: how many chunks of lanes it runs at once; None for its engine's own choice.
        kinds: the engines that it can run.
        ready: whether it has said something.
        heard: when it gave the last sign of life.
    """

    def __init__(self, number: int, actor: Any, threads: int | None, inbox: queue.SimpleQueue[Any]) -> None:
        self.name, self.threads, self.kinds = f"worker {number} (on Ray)", threads, frozenset(Kind)
        self.ready, self.heard = False, time.monotonic()
        self._actor, self._inbox, self._sent = actor, inbox, 0
        self._said = actor.say.options(num_returns="streaming").remote()
        self._life = actor.live.remote()

    def send(self, message: Any) -> None:
        """Tell it something; where it is lost, nothing happens."""
        number, self._sent = self._sent, self._sent + 1
        with suppress(ray.exceptions.RayError):
            self._actor.tell.remote(number, message)

    def end(self) -> None:
        """End it by force."""
        with suppress(Exception):
            ray.kill(self._actor, no_restart=True)

    async def listen(self) -> None:
        """Take in what it says, to its end."""
        with suppress(Exception):  # its end is reported below
            async for reference in self._said:
                for message in await reference:
                    self.ready, self.heard = True, time.monotonic()
                    if not isinstance(message, Alive | Ready):
                        self._inbox.put((self, message))

    async def watch(self) -> None:
        """Wait for its end, and say how it ended."""
        try:
            await self._life
            why = "ended by itself"
        except ray.exceptions.ActorDiedError as error:
            why = f"ended: {_reason(error)}"
        except Exception as error:
            why = f"can't be reached ({one_line(error)})"
        self._inbox.put((self, Lost(why, self.ready)))


def _reason(error: Any) -> str:
    """Why an actor died, in Ray's words, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[-2:] if len(lines) > 1 else lines)[:300]


class _Listener:
    """One thread that listens to all actors: a thousand threads would mostly wait for each other."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="fairlane Ray")
        self._thread.start()

    def attend(self, worker: Worker) -> None:
        """Listen to one more."""
        for task in (worker.listen(), worker.watch()):
            asyncio.run_coroutine_threadsafe(task, self._loop)

    def end(self) -> None:
        """Listen to nobody any more."""
        asyncio.run_coroutine_threadsafe(self._cancel(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cancel(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class RayCrew:
    """Actors on the nodes of a Ray cluster: as many as it has room for, also on nodes that join later.

    Args:
        address: of the cluster, as ``ray.init`` takes it.
        most: how many actors there may be; None for no limit.
        cpus: of each.
        gpus: of each; may be a part of one.
        memory: bytes of each; None where that is not to be looked at.

    Raises:
        StudyError: the cluster has no room for a single one.
    """

    folder: str | None = None

    def __init__(
        self, address: str | None, most: int | None, cpus: float, gpus: float, memory: float | None
    ) -> None:
        self._own = not ray.is_initialized()
        if self._own:
            ray.init(address=address, log_to_driver=True)
        self._most, self._needs = most, {"CPU": cpus, "GPU": gpus, "memory": memory or 0}
        self._threads = None if gpus else max(1, int(cpus))
        self._workers: dict[Worker, None] = {}
        """In the order in which they were started; each message is looked up here."""
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._listener = _Listener()
        self._number = 0
        variables = {"KERAS_BACKEND": keras.backend.backend(), "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        variables |= {name: os.environ[name] for name in _CACHES if name in os.environ}
        if 0 < gpus < 1:
            variables["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{0.9 * gpus:.3f}"
        self._actor = ray.remote(Actor).options(
            num_cpus=cpus,
            num_gpus=gpus,
            memory=memory,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=4,
            runtime_env={"env_vars": variables},
        )
        if not self.replenish():
            self.end()
            raise StudyError(
                f"no node of the Ray cluster has room for a worker, which needs {cpus:g} CPUs, {gpus:g} GPUs "
                f"and {memory or 0:g} bytes of memory. Where there are no GPUs, give fl.Ray(gpus=0)"
            )

    def members(self) -> Sequence[Worker]:
        """Those that were started and are not lost."""
        return list(self._workers)

    def replenish(self) -> Sequence[Worker]:
        """Start actors in place of lost ones, and on nodes that have joined; the new ones."""
        room = sum(self._room_on(node["Resources"]) for node in ray.nodes() if node["Alive"])
        count = room if self._most is None else min(room, self._most)
        new = []
        while len(self._workers) < count:
            new.append(Worker(self._number, self._actor.remote(), self._threads, self._inbox))
            self._number += 1
            self._workers[new[-1]] = None
            self._listener.attend(new[-1])
        return new

    def _room_on(self, resources: Any) -> int:
        needs = {name: need for name, need in self._needs.items() if need}
        return int(min((resources.get(name, 0) / need for name, need in needs.items()), default=1))

    def receive(self, seconds: float) -> tuple[Worker, Any] | None:
        """What an actor says next, or that it is lost."""
        try:
            member, message = self._inbox.get(timeout=seconds) if seconds else self._inbox.get_nowait()
        except queue.Empty:
            return None
        if member not in self._workers:
            return self.receive(0)
        if isinstance(message, Lost):
            self.dismiss(member)
        return member, message

    def dismiss(self, member: Member) -> None:
        """End an actor by force."""
        for worker in [worker for worker in self._workers if worker is member]:
            del self._workers[worker]
            worker.end()

    def pack(self, value: Any, copies: bool = False) -> Packed:
        """Put an object into Ray's object store."""
        return Stored(ray.put(value), copies or keras.backend.backend() == "torch")

    def forget(self, packed: Sequence[Packed]) -> None:
        """Nothing: Ray frees what nobody refers to."""

    def end(self) -> None:
        """End all actors; leave the cluster, where it was joined for them."""
        for worker in self.members():
            self.dismiss(worker)
        self._listener.end()
        if self._own:
            ray.shutdown()
