"""Who writes a study: one process, or several that share it.

In: what a study's row says of its writer. Out: whether that process still lives, and the words that name it.
A writer gives a sign of life about every `BEAT` seconds. On the same machine (on Linux) a dead process is
noticed immediately; elsewhere after `SILENCE` seconds without a sign of life. Writers of this process are
counted in memory, too: one that could not release its study in the store, because the disk was full, has
ended all the same.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BEAT = 10.0
"""Seconds between two signs of life of a writer."""
SILENCE = 60.0
"""Seconds without a sign of life, after which a writer on another machine counts as dead."""
_holding: set[str] = set()
"""The tokens of this process's writers that hold a study."""


@dataclass(frozen=True)
class Writer:
    """A process that writes a study.

    Attributes:
        token: unique among all writers.
        host: the name of its machine.
        pid: its number there.
        place: the boot and namespace that ``pid`` belongs to, and when the process began: together they tell
            it from a later process with the same number.
        heartbeat: its last sign of life, in seconds since 1970.
    """

    token: str
    host: str
    pid: int
    place: str
    heartbeat: float

    @classmethod
    def this(cls) -> Writer:
        """A new one, of this process; it holds its study until `let_go`."""
        made = cls(secrets.token_hex(16), socket.gethostname(), os.getpid(), _here(), time.time())
        _holding.add(made.token)
        return made

    def let_go(self) -> None:
        """Stop holding the study, whether or not its row could be changed."""
        _holding.discard(self.token)

    @classmethod
    def of(cls, row: Any) -> Writer | None:
        """The writer that a study's row names, or None."""
        if row.writer is None:
            return None
        beat = row.heartbeat or 0.0
        return cls(row.writer, row.writer_host or "?", row.writer_pid or 0, row.writer_place or "", beat)

    @classmethod
    def of_sharer(cls, row: Any) -> Writer:
        """The writer that a row of `fairlane.store.tables.sharers` names."""
        return cls(row.token, row.host, row.pid, row.place, row.heartbeat)

    @property
    def columns(self) -> dict[str, Any]:
        """Its columns in a study's row."""
        return {
            "writer": self.token,
            "writer_host": self.host,
            "writer_pid": self.pid,
            "writer_place": self.place,
            "heartbeat": self.heartbeat,
        }

    def silent(self, now: float) -> float:
        """Seconds since its last sign of life.

        Args:
            now: the time by the clock of its signs of life, which is `fairlane.store.sharers.now`.
        """
        return max(0.0, now - self.heartbeat)

    def alive(self, now: float) -> bool:
        """Whether it may still write; ``now`` is as for `silent`."""
        _, _, began = self.place.rpartition(" ")
        if self._is_known:
            return _began(self.pid) == began and (not self.is_here or self.token in _holding)
        return self.silent(now) < SILENCE

    @property
    def _is_known(self) -> bool:
        """Whether it is a process of this machine, so that it can be looked up."""
        return bool(self._machine) and self._machine == _machine()

    @property
    def is_here(self) -> bool:
        """Whether it is one of this process's."""
        return self.pid == os.getpid() and self.place == _here()

    def is_beside(self, other: Writer) -> bool:
        """Whether both are processes of one machine, known to be so."""
        return bool(self._machine) and self._machine == other._machine

    def is_elsewhere(self, other: Writer) -> bool:
        """Whether both are processes of different machines, as far as that is known."""
        boots = [writer._machine.partition("/")[0] for writer in (self, other)]
        return boots[0] != boots[1] if all(boots) else self.host != other.host

    def lost(self, now: float) -> bool:
        """Whether its leases have run out: it has ended, or gave no sign of life for `SILENCE` seconds."""
        return self.silent(now) > SILENCE or not self.alive(now)

    @property
    def _machine(self) -> str:
        return self.place.rpartition(" ")[0]

    def __str__(self) -> str:
        return "this process" if self.is_here else f"process {self.pid} on {self.host}"


NOBODY = dict.fromkeys(("writer", "writer_host", "writer_pid", "writer_place", "heartbeat"))
"""The columns of a study that no process writes."""


def in_words(writers: Sequence[Writer]) -> str:
    """Processes, for people to read."""
    more = len(writers) - 1
    others = f" and {more} other process{'es' if more > 1 else ''}" if more else ""
    return f"{writers[0]}{others}"


def _here() -> str:
    """The `Writer.place` of this process."""
    return f"{_machine()} {_began(os.getpid())}"


def _machine() -> str:
    """The boot and the namespace that this process's number belongs to; empty where they are not known."""
    if not sys.platform.startswith("linux"):
        return ""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _began(pid: int) -> str:
    """When a process of this machine began, in ticks since the boot; empty if it does not run."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    after_name = text.rpartition(")")[2].split()  # the name may itself have spaces and brackets
    is_dead = after_name[0] in "ZX"  # a zombie's row stays until its parent has waited for it
    return "" if is_dead else after_name[19]
