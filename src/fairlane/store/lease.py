"""Who writes a study: one process at a time.

In: what a study's row says of its writer. Out: whether that one still lives, and the words that name it. A
writer says that it lives about every `BEAT` seconds. Where it can be looked for, on the same machine, a dead
one is known at once; elsewhere, when it has been silent for `SILENCE` seconds. One of this process that could
not say in the store that it has ended, because the disk was full, is known to have ended all the same.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BEAT = 10.0
"""Seconds between two signs of life."""
SILENCE = 60.0
"""Seconds without one, after which a writer on another machine is taken for dead."""
_holding: set[str] = set()
"""The tokens of this process's writers that have not let go."""


@dataclass(frozen=True)
class Writer:
    """A process that writes a study.

    Attributes:
        token: what no other has had.
        host: the name of its machine.
        pid: its number there.
        place: where that number counts, and when the process began.
        heartbeat: when it last said that it lives, in seconds since 1970.
    """

    token: str
    host: str
    pid: int
    place: str
    heartbeat: float

    @classmethod
    def this(cls) -> Writer:
        """A new one, of this process; it holds its study until it lets go."""
        made = cls(secrets.token_hex(16), socket.gethostname(), os.getpid(), _here(), time.time())
        _holding.add(made.token)
        return made

    def let_go(self) -> None:
        """Hold the study no more, be it that its row can't be told so."""
        _holding.discard(self.token)

    @classmethod
    def of(cls, row: Any) -> Writer | None:
        """The one that a study's row names, or None."""
        if row.writer is None:
            return None
        beat = row.heartbeat or 0.0
        return cls(row.writer, row.writer_host or "?", row.writer_pid or 0, row.writer_place or "", beat)

    @property
    def columns(self) -> dict[str, Any]:
        """As a study's row has it."""
        return {
            "writer": self.token,
            "writer_host": self.host,
            "writer_pid": self.pid,
            "writer_place": self.place,
            "heartbeat": self.heartbeat,
        }

    @property
    def silent(self) -> float:
        """Seconds since it last said that it lives."""
        return max(0.0, time.time() - self.heartbeat)

    @property
    def alive(self) -> bool:
        """Whether it may still write."""
        machine, _, began = self.place.rpartition(" ")
        if machine and machine == _machine():
            return _began(self.pid) == began and (not self.is_here or self.token in _holding)
        return self.silent < SILENCE

    @property
    def is_here(self) -> bool:
        """Whether it is one of this process's."""
        return self.pid == os.getpid() and self.place == _here()

    def __str__(self) -> str:
        return "this process" if self.is_here else f"process {self.pid} on {self.host}"


NOBODY = dict.fromkeys(("writer", "writer_host", "writer_pid", "writer_place", "heartbeat"))
"""The columns where nobody writes."""


def _here() -> str:
    """This process's place."""
    return f"{_machine()} {_began(os.getpid())}"


def _machine() -> str:
    """Where this process's number counts: the boot and the namespace; empty where that can't be told."""
    if not sys.platform.startswith("linux"):
        return ""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _began(pid: int) -> str:
    """When a process of this machine began, in ticks since the boot; empty where there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    after_name = text.rpartition(")")[2].split()
    return "" if after_name[0] in "ZX" else after_name[19]
