"""What the pool engine needs of its workers, however they are started and reached.

In: messages for a member. Out: what members say, one after another, and that a member is lost. There are two
crews: `fairlane.engines.pool.local` starts processes on this machine, and `fairlane.engines.pool.on_ray`
actors on the nodes of a Ray cluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fairlane.engines.pool.messages import Kind
from fairlane.engines.pool.packed import Packed


class Member(Protocol):
    """A worker.

    Attributes:
        name: what messages call it.
        threads: how many chunks of lanes it runs at once; None for its engine's own choice.
        kinds: the engines that it can run.
        ready: whether it has said that it is.
        heard: when it gave the last sign of life, by ``time.monotonic()``.
    """

    name: str
    threads: int | None
    kinds: frozenset[Kind]
    ready: bool
    heard: float

    def send(self, message: Any) -> None:
        """Tell it something; where it is lost, nothing happens, and `Lost` comes."""


@dataclass(frozen=True)
class Lost:
    """A member is no more.

    Attributes:
        why: how it ended, in words that follow its name.
        started: whether it ever was ready.
    """

    why: str
    started: bool


class Crew(Protocol):
    """Workers, and the line to them.

    Attributes:
        folder: the current directory for them; None where they are on other machines.
    """

    folder: str | None

    def members(self) -> Sequence[Member]:
        """Those that were started and are not lost."""

    def replenish(self) -> Sequence[Member]:
        """Start members in place of lost ones, and more where more machines have come; the new ones."""

    def receive(self, seconds: float) -> tuple[Member, Any] | None:
        """What a member says next, or that it is `Lost`; None where nothing comes in so many seconds."""

    def dismiss(self, member: Member) -> None:
        """End a member by force; nothing comes from it any more."""

    def pack(self, value: Any, copies: bool = False) -> Packed:
        """Pack an object for all members.

        Args:
            value: the object.
            copies: whether each member needs arrays of its own, which it may write to.

        Raises:
            Exception: whatever pickling raises for it.
        """

    def forget(self, packed: Sequence[Packed]) -> None:
        """Give up what holds packed objects; members may still use what they have opened."""

    def end(self) -> None:
        """End all members, and give up everything."""


Environment = Mapping[str, str]
"""Environment variables that differ from the session's."""
