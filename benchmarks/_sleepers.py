"""Workers that train nothing, and sleep as long as their epochs would take: many in one process.

Run as ``python _sleepers.py SOCKET EPOCHS SECONDS``: each connection to the socket is a worker. It says what
a worker of Ray's says, also that it lives; it wants 8 jobs at a time, which train side by side.
"""

from __future__ import annotations

import asyncio
import pickle
import struct
import sys
from contextlib import suppress
from typing import Any

from fairlane.engines.pool import messages
from fairlane.engines.pool.messages import Kind
from fairlane.trials import EpochEnded, TrialDone, TrialStarted

AT_ONCE = 8
_LENGTH = struct.Struct("<Q")


class Sleeper:
    """One worker.

    Args:
        reader: what the driver says.
        writer: to the driver.
        epochs: of each trial.
        seconds: of each epoch.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, epochs: int, seconds: float
    ) -> None:
        self._reader, self._writer, self._epochs, self._seconds = reader, writer, epochs, seconds
        self._tasks: list[asyncio.Task[None]] = []
        self._said: list[Any] = []

    def _say(self, *said: Any) -> None:
        """Say something; what is said at one moment goes together, as from an actor of Ray's."""
        if not self._said:
            asyncio.get_running_loop().call_soon(self._send)
        self._said.extend(said)

    def _send(self) -> None:
        body = pickle.dumps(self._said)
        self._writer.write(_LENGTH.pack(len(body)) + body)
        self._said = []

    async def serve(self) -> None:
        """Do what the driver says, until it is gone."""
        self._say(messages.Ready())
        self._tasks.append(asyncio.create_task(self._live()))
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (size,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
                self._hear(pickle.loads(await self._reader.readexactly(size)))
        for task in self._tasks:
            task.cancel()

    def _hear(self, message: Any) -> None:
        if isinstance(message, messages.Begin):
            self._say(messages.Wants(Kind.LANES, AT_ONCE))
        elif isinstance(message, messages.Finish):
            self._say(messages.Over())
        elif isinstance(message, messages.Given) and message.jobs:
            self._tasks.append(asyncio.create_task(self._train([job.ticket for job in message.jobs])))

    async def _train(self, tickets: list[int]) -> None:
        for ticket in tickets:
            self._say(messages.Happened(ticket, TrialStarted(None, "lanes", fleet=0)))
        for epoch in range(self._epochs):
            await asyncio.sleep(self._seconds)
            logs = {"loss": 1.0 / (epoch + 1), "val_loss": 1.0}
            for ticket in tickets:
                self._say(messages.Happened(ticket, EpochEnded(None, epoch, logs)))
            await self._writer.drain()
        for ticket in tickets:
            self._say(messages.Happened(ticket, TrialDone(None, 1.0, None)))
        self._say(messages.Wants(Kind.LANES, AT_ONCE))

    async def _live(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._say(messages.Alive())


async def main(path: str, epochs: int, seconds: float) -> None:
    """Serve workers until the standard input is closed."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Sleeper(reader, writer, epochs, seconds).serve()

    server = await asyncio.start_unix_server(connected, path, backlog=4096)
    print("ready", flush=True)
    async with server:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
