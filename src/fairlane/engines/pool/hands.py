"""The workers during a run: what each was sent, what it wants, and whether it lives.

In: jobs for a worker. Out: messages to it. A builder or data go to each worker once, before the first job
that names them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cloudpickle

from fairlane.engines.pool import messages
from fairlane.engines.pool.crew import Crew, Lost, Member
from fairlane.engines.pool.goods import Goods
from fairlane.engines.pool.ledger import Entry
from fairlane.engines.pool.messages import Kind, Sent
from fairlane.engines.resources import Resources, session_of
from fairlane.engines.workers.settings import custom_objects, search_path, settings_here
from fairlane.errors import StudyError
from fairlane.kit.error_text import one_line

_MOST_FAILED_STARTS = 3
"""How many workers, one after another, may end before they are ready."""

_SECONDS_BETWEEN_STARTS = 2.0


@dataclass(eq=False)
class Want:
    """What a worker wants.

    Attributes:
        count: how many jobs at most.
        answered: whether it was told what there is; it waits for that.
    """

    count: int
    answered: bool = False


class Hand:
    """A worker during a run.

    Attributes:
        number: its number in the run.
        member: the worker itself.
        wants: what it wants, by the engine.
        waiting: the tickets of its trials that wait for an order, when it rested last.
        apart: whether its jobs were set apart, so that it gets no others beside them.
        over: whether its run has ended.
    """

    def __init__(self, number: int, member: Member) -> None:
        self.number, self.member, self.name = number, member, member.name
        self.wants: dict[Kind, Want] = {}
        self.waiting: Sequence[int] = ()
        self.apart = self.over = False
        self._known: set[int] = set()
        self._sent, self._read = 0, -1

    @property
    def rests(self) -> bool:
        """Whether it has nothing to do, and was told nothing since."""
        return self._read == self._sent

    def rest(self, message: messages.Rests) -> None:
        """It says that it has nothing to do."""
        self._read, self.waiting = message.read, message.waiting

    def want(self, message: messages.Wants) -> None:
        """It says that it wants jobs."""
        self.wants[message.kind] = Want(message.count)

    def tell(self, message: Any) -> None:
        """Tell it something."""
        self._sent += 1
        self.member.send(message)

    def tell_once(self, message: Any) -> None:
        """Tell it something that it may know already."""
        if id(message) not in self._known:
            self._known.add(id(message))
            self.tell(message)

    def take_back(self, message: messages.DataCome) -> None:
        """Tell it that the data of a message are not needed any more, if it knows it."""
        if id(message) in self._known:
            self._known.discard(id(message))
            self.tell(messages.DataGo(message.keys))


class Hands:
    """The workers of a run.

    Args:
        resources: what jobs name by a key.
        crew: the workers.
        kinds: the engines that may run jobs.
        standing: whether every trial goes on at the end of each epoch.
        patience: after how many seconds without a sign of life a worker is taken for lost.

    Attributes:
        by_number: those that are not lost.
        wanting: those among them that want something.
        unanswered: those that were not told whether there is something.
    """

    def __init__(
        self, resources: Resources, crew: Crew, kinds: Sequence[Kind], standing: bool, patience: float
    ) -> None:
        self._resources, self._crew, self._kinds = resources, crew, tuple(kinds)
        self._standing, self._patience = standing, patience
        self._goods = Goods(resources, crew.pack)
        self._settings, self._custom = crew.pack(settings_here()), custom_objects(crew.pack)
        self.by_number: dict[int, Hand] = {}
        self.wanting: dict[int, Hand] = {}
        self.unanswered: dict[int, Hand] = {}
        self._of: dict[int, Hand] = {}
        self._next = 0
        self._held = False
        self._failed_starts = 0
        self._checked = self._started = time.monotonic()

    # --- who is there -------------------------------------------------------------------------------

    def begin(self) -> None:
        """Let all members of the crew take part."""
        self._crew.replenish()
        for member in self._crew.members():
            self._welcome(member)

    def replenish(self) -> None:
        """Let new members take part, in place of lost ones or because there are more machines."""
        if time.monotonic() - self._started >= _SECONDS_BETWEEN_STARTS or not self.by_number:
            self._started = time.monotonic()
            for member in self._crew.replenish():
                self._welcome(member)

    def _welcome(self, member: Member) -> None:
        hand = Hand(self._next, member)
        self._next += 1
        self.by_number[hand.number] = self._of[id(member)] = hand
        kinds = tuple(kind for kind in self._kinds if kind in member.kinds)
        member.send(
            messages.Begin(
                *(kinds, self._standing, member.threads, self._crew.folder, search_path()),
                *(self._settings, self._custom),
            )
        )
        if self._held:
            hand.tell(messages.Hold(True))

    def of(self, member: Member) -> Hand | None:
        """A member's part in this run; None where it has none, or is lost."""
        return self._of.get(id(member))

    def drop(self, hand: Hand, lost: Lost) -> None:
        """Forget a worker that is lost.

        Raises:
            StudyError: it ended before it was ready, as others before it.
        """
        del self.by_number[hand.number], self._of[id(hand.member)]
        self.wanting.pop(hand.number, None)
        self.unanswered.pop(hand.number, None)
        self._crew.dismiss(hand.member)
        self._failed_starts = 0 if lost.started else self._failed_starts + 1
        if self._failed_starts >= _MOST_FAILED_STARTS:
            raise StudyError(
                f"the workers can't be started: {self._failed_starts} ended, one after another, before they "
                f"could train anything. {hand.name} {lost.why}. Train without workers=, or see what keeps "
                "the processes from importing Keras"
            )

    def silent(self) -> Iterator[tuple[Hand, str]]:
        """Those that have given no sign of life for a long time, and why that counts as lost."""
        now = time.monotonic()
        if now - self._checked < self._patience / 20:
            return
        slept, self._checked = now - self._checked > self._patience / 2, now
        for hand in list(self.by_number.values()):
            if slept:  # not it, but this process was held up
                hand.member.heard = max(hand.member.heard, now - self._patience / 2)
            elif hand.member.ready and now - hand.member.heard > self._patience:
                yield hand, f"gave no sign of life for {self._patience:g} s, and was ended"

    # --- messages -----------------------------------------------------------------------------------

    def receive(self, seconds: float) -> tuple[Member, Any] | None:
        """What a worker says next; None where nothing comes in so many seconds."""
        return self._crew.receive(seconds)

    def hold(self, on: bool) -> None:
        """Let all trials wait at the end of their epoch, or go on again."""
        if on is not self._held:
            self._held = on
            for hand in self.by_number.values():
                hand.tell(messages.Hold(on))

    def made_ready(self, entry: Entry, hand: Hand) -> Sent:
        """A job as it is sent; what it names is sent first.

        Raises:
            Exception: its callbacks can't be made, or it can't be pickled.
        """
        job = entry.job
        callbacks = None
        if job.callbacks:
            with session_of(job):
                made = self._resources.callbacks_of(job)
            callbacks = _pickled("its callbacks", made)
        sent = Sent(entry.ticket, _pickled("it", replace(job, callbacks="")), callbacks)
        # Last: what a worker has been told is read by it before the job can end.
        for message in self._goods.of(job):
            hand.tell_once(message)
        return sent

    def let_go(self) -> None:
        """Have data freed that nobody needs any more, here and in the workers."""
        for message in self._goods.gone():
            for hand in self.by_number.values():
                hand.take_back(message)
            self._crew.forget([message.packed])

    def finish(self) -> None:
        """Ask all workers to end the run."""
        for hand in self.by_number.values():
            hand.tell(messages.Finish())

    def under_way(self) -> bool:
        """Whether a worker has not ended the run."""
        return not all(hand.over for hand in self.by_number.values())

    def release(self) -> None:
        """End those that have not ended the run, and give up what was packed for it."""
        for hand in self.by_number.values():
            if not hand.over:
                self._crew.dismiss(hand.member)
        self._crew.forget([self._settings, *self._custom.values(), *self._goods.packed])


def _pickled(what: str, value: Any) -> bytes:
    try:
        return bytes(cloudpickle.dumps(value))
    except Exception as error:
        raise StudyError(
            f"{what} can't be sent to a worker process, because of something that can't be pickled "
            f"({one_line(error)})"
        ) from error
