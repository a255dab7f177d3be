"""The pool engine: jobs of one feed, trained by the workers of a crew.

In: a feed, orders, and a crew. Out: events, as every engine yields them. Each worker builds its own models.
What a lost worker had begun goes on, on another, from the last checkpoint that has come.

Who owns what: `Waiting` the jobs that no worker has, `Ledger` those that are given out, `Hands` the workers
and what each has been sent.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

from fairlane.engines import phases
from fairlane.engines.contract import (
    Declined,
    EngineEvent,
    Feed,
    Fork,
    ForkRefused,
    GoOn,
    Idle,
    Job,
    Orders,
    Stop,
)
from fairlane.engines.lanes.roster import failed
from fairlane.engines.pool import messages
from fairlane.engines.pool.crew import Crew, Lost, Member
from fairlane.engines.pool.hands import Hand, Hands
from fairlane.engines.pool.ledger import Entry, Fates, Ledger
from fairlane.engines.pool.messages import Kind
from fairlane.engines.pool.waiting import Waiting
from fairlane.engines.resources import Resources
from fairlane.engines.workers.messages import Printed, Warned
from fairlane.engines.workers.packing import unpickled
from fairlane.errors import FairlaneWarning
from fairlane.kit.call_sites import caller, warn_at
from fairlane.trials import Checkpoint, Event, ModelDescribed, TrialDone, TrialFailed, TrialStarted

_SECONDS_TO_FINISH, _SECONDS_OF_PATIENCE = 30.0, 60.0
"""How long workers may take to end their epochs where a run is broken off; and how long one may be silent."""


class PoolEngine:
    """Runs jobs on the workers of a crew.

    Args:
        resources: what jobs name by a key.
        crew: the workers; they stay when the run ends.
        choice: ``"auto"``, ``"lanes"`` or ``"reference"``: which engine the workers run.
        patience: after how many seconds without a sign of life a worker is taken for lost.
    """

    name = "pool"

    def __init__(
        self, resources: Resources, crew: Crew, choice: str = "auto", patience: float | None = None
    ) -> None:
        self._resources, self._crew = resources, crew
        self._patience = _SECONDS_OF_PATIENCE if patience is None else patience
        self._kinds = (Kind.LANES, Kind.REFERENCE) if choice == "auto" else (Kind(choice),)
        self._unreported: list[Event] = []

    def run(self, feed: Feed, orders: Orders) -> Generator[EngineEvent]:
        """Run every job of the feed; see `fairlane.engines.contract.Engine`."""
        hands = Hands(self._resources, self._crew, self._kinds, orders.standing, self._patience)
        run = _Run(feed, orders, self._resources, hands, self._kinds)
        try:
            yield from run.through()
        finally:
            self._unreported += run.close()

    def unreported(self) -> Sequence[Event]:
        """What a run that was closed before its end did not report."""
        return self._unreported


class _Run:
    """One run of the engine."""

    def __init__(
        self, feed: Feed, orders: Orders, resources: Resources, hands: Hands, kinds: Sequence[Kind]
    ) -> None:
        self._orders, self._resources, self._hands = orders, resources, hands
        self._kinds = kinds
        self._waiting, self._ledger = Waiting(feed, kinds), Ledger()
        self._fleets: dict[tuple[int, int], int] = {}
        self._last: EngineEvent | None = None

    def through(self) -> Generator[EngineEvent]:
        """Go on until all is done."""
        self._hands.begin()
        for event in self._events():
            self._last = event
            yield event
            self._last = None

    def _events(self) -> Iterator[EngineEvent]:
        while True:
            self._hands.let_go()
            yield from self._pass_orders()
            yield from self._hand_out()
            if not (self._waiting or self._ledger.entries):
                self._waiting.look()
                if self._waiting.over:
                    return
                if not self._waiting:
                    yield Idle()
                continue
            said = self._hands.receive(0.0)
            if said is None:  # only then is it worth while to look at all of them
                if self._nothing_moves():
                    yield Idle(tuple(entry.job.trial for entry in self._who_waits()))
                    continue
                said = self._hands.receive(1.0)
            if said is not None:
                yield from self._hear(*said)
            for hand, why in self._hands.silent():
                yield from self._bury(hand, Lost(why, True))
            self._hands.replenish()

    def _nothing_moves(self) -> bool:
        """Whether nothing can happen before a job or an order comes."""
        if self._waiting and not self._orders.closed:
            return False
        busy = {entry.worker for entry in self._ledger.entries.values()}
        return all(self._hands.by_number[number].rests for number in busy)

    def _who_waits(self) -> Iterator[Entry]:
        for hand in self._hands.by_number.values():
            yield from (self._ledger.entries[t] for t in hand.waiting if t in self._ledger.entries)

    # --- to workers ---------------------------------------------------------------------------------

    def _pass_orders(self) -> Iterator[EngineEvent]:
        """Pass orders on to the workers whose trials wait."""
        self._hands.hold(self._orders.closed)
        if self._orders.standing:
            return
        waiting = self._ledger.waiting
        told: dict[int, list[messages.Order]] = {}
        for order in self._orders.take(waiting) if waiting else ():
            entry = waiting[order.trial]
            orders = told.setdefault(entry.worker, [])
            if isinstance(order, Fork):
                sent = yield from self._sent(order.job, self._hands.by_number[entry.worker])
                if sent is not None:
                    orders.append(messages.Order(entry.ticket, "fork", sent))
            elif isinstance(order, GoOn | Stop):
                del waiting[order.trial]
                what = "stop" if isinstance(order, Stop) else "go on"
                orders.append(messages.Order(entry.ticket, what))
        for number, orders in told.items():
            if orders:
                self._hands.by_number[number].tell(messages.Ordered(tuple(orders)))

    def _hand_out(self) -> Iterator[EngineEvent]:
        """Give jobs to the workers that want some, until nobody gets any; each is told if there are none."""
        wanting, unanswered = self._hands.wanting, self._hands.unanswered
        gave = bool(wanting)
        while gave:
            gave = False
            if not self._waiting and self._ledger.entries:  # else the feed is asked once, by `_events`
                self._waiting.look()
            some = self._waiting and not self._orders.closed
            for hand in list((wanting if some else unanswered).values()):
                for kind in list(hand.wants):
                    gave |= yield from self._give(hand, kind)
                unanswered.pop(hand.number, None)
                if not hand.wants:
                    wanting.pop(hand.number, None)

    def _give(self, hand: Hand, kind: Kind) -> Generator[EngineEvent, None, bool]:
        """Give a worker what there is for it; says whether there was anything."""
        sent: list[messages.Sent] = []
        for job in () if self._orders.closed else self._chosen(hand, kind):
            if self._resources.builder_of(job).in_place:
                yield Declined(job, "its model is the caller's own, and can't be trained in another process")
                continue
            one = yield from self._sent(job, hand)
            if one is not None:
                sent.append(one)
        if sent or not hand.wants[kind].answered:
            hand.tell(messages.Given(kind, tuple(sent)))
            hand.wants[kind].answered = True
        if sent:
            del hand.wants[kind]
            self._waiting.wants(hand.number, kind, False)
        return bool(sent)

    def _chosen(self, hand: Hand, kind: Kind) -> list[Job]:
        """The jobs that a worker is to get now."""
        if hand.apart and not self._waiting.is_empty(hand.number):
            return []  # it finds out which of its trials it is that ends workers
        chosen = self._waiting.together(hand.number, kind)
        hand.apart = bool(chosen)
        while not hand.apart and len(chosen) < hand.wants[kind].count:
            job = self._waiting.take(hand.number, kind)
            if job is None:
                break
            chosen.append(job)
        return chosen

    def _sent(self, job: Job, hand: Hand) -> Generator[EngineEvent, None, messages.Sent | None]:
        """A job for a worker; None where it fails before."""
        entry = self._ledger.enter(job, hand.number)
        self._waiting.has(hand.number, job, 1)
        try:
            return self._hands.made_ready(entry, hand)
        except Exception as error:
            self._forget(entry)
            yield failed(job, None, error, 0.0)
            return None

    def _forget(self, entry: Entry) -> None:
        self._ledger.forget(entry)
        self._waiting.has(entry.worker, entry.job, -1)

    # --- from workers -------------------------------------------------------------------------------

    def _hear(self, member: Member, message: Any) -> Iterator[EngineEvent]:
        hand = self._hands.of(member)
        if hand is None:
            return
        match message:
            case messages.Happened():
                yield from self._happened(hand, message)
            case messages.Returned():
                yield from self._returned(message)
            case messages.NoFork():
                entry = self._ledger.entries[message.ticket]
                self._forget(entry)
                yield ForkRefused(entry.job, message.reason)
            case messages.Wants():
                hand.want(message)
                self._hands.wanting[hand.number] = self._hands.unanswered[hand.number] = hand
                self._waiting.wants(hand.number, message.kind, True)
            case messages.Rests():
                hand.rest(message)
            case messages.Over():
                yield from self._bury(hand, Lost(f"could not continue ({message.error})", True))
            case Lost():
                yield from self._bury(hand, message)
            case _:
                pass_on(message)

    def _happened(self, hand: Hand, message: messages.Happened) -> Iterator[EngineEvent]:
        entry = self._ledger.entries[message.ticket]
        event = _of(entry, message)
        if isinstance(event, ModelDescribed):
            yield event
            return
        if isinstance(event, TrialStarted):
            event = replace(event, worker=hand.name)
        if (
            isinstance(event, TrialStarted | TrialDone) and event.fleet is not None
        ):  # workers count their own from 0
            fleet = self._fleets.setdefault((entry.worker, event.fleet), len(self._fleets))
            event = replace(event, fleet=fleet)
        if not self._orders.standing or isinstance(event, Checkpoint):
            self._ledger.note(entry, event)
        if isinstance(event, TrialDone | TrialFailed):
            self._forget(entry)
        yield event

    def _returned(self, message: messages.Returned) -> Iterator[EngineEvent]:
        """A job that lanes can't run; another engine may, on any worker."""
        entry = self._ledger.entries[message.ticket]
        self._forget(entry)
        job = entry.job
        if message.opening is not None:  # the phases before are trained; this one begins with that state
            job = phases.resumed(phases.first_job(job), replace(message.opening, trial=job.trial))
        yield Declined(job, message.reason, unpickled(message.error))
        if len(self._kinds) > 1:
            self._waiting.back([replace(job, reason=message.reason)])

    def _bury(self, hand: Hand, lost: Lost) -> Iterator[EngineEvent]:
        """A worker is no more: what it had goes on elsewhere."""
        fates = self._ledger.lose(hand.number)
        self._waiting.gone(hand.number)
        self._hands.drop(hand, lost)
        self._waiting.back([entry.again() for entry in fates.again])
        for group in fates.apart:
            self._waiting.set_apart([entry.again() for entry in group])
        if fates.again or fates.apart:
            warn_at(caller(), _obituary(hand, lost, fates), FairlaneWarning)
        for entry in fates.failed:
            if entry.job.forked:
                text = f"{hand.name} {lost.why}, and with it the copy that the trial began with"
            else:
                text = f"its worker ended with it twice. The last time, {hand.name} {lost.why}"
            yield TrialFailed(entry.job.trial, None, text, f"{text}\n")

    # --- the end ------------------------------------------------------------------------------------

    def close(self) -> list[Event]:
        """Let workers end their epochs; end those that take too long.

        Returns:
            What was not reported.
        """
        left: list[Event] = [self._last] if isinstance(self._last, Event) else []
        try:
            self._hands.finish()
            deadline = time.monotonic() + _SECONDS_TO_FINISH
            while self._hands.under_way() and (now := time.monotonic()) < deadline:
                said = self._hands.receive(deadline - now)
                if said is None:
                    break
                left += self._heard_at_the_end(*said)
        finally:
            self._hands.release()
        return left

    def _heard_at_the_end(self, member: Member, message: Any) -> Iterator[Event]:
        hand = self._hands.of(member)
        if isinstance(message, Lost) and hand is not None:
            self._hands.drop(hand, message)
            return
        if isinstance(message, messages.Over) and hand is not None:
            hand.over = True
        told = [message] if isinstance(message, messages.Happened) else getattr(message, "left", ())
        for one in told:
            entry = self._ledger.entries.get(one.ticket)
            event = None if entry is None else _of(entry, one)
            if event is not None and not isinstance(event, ModelDescribed):
                yield event


def _of(entry: Entry, message: messages.Happened) -> Any:
    """An event as this session's driver is to see it."""
    event: Any = replace(message.event, trial=entry.job.trial)
    if isinstance(event, TrialFailed):
        return replace(event, exception=unpickled(message.exception))
    return event


def pass_on(message: Any) -> None:
    """What the trials' code prints and warns of."""
    if isinstance(message, Printed):
        print(message.text, end="")
    elif isinstance(message, Warned):
        warning = unpickled(message.warning)
        if warning is not None:
            warnings.warn_explicit(*warning)


def _obituary(hand: Hand, lost: Lost, fates: Fates) -> str:
    entries = [*fates.again, *(entry for group in fates.apart for entry in group)]
    listed = ", ".join(str(entry.job.trial) for entry in entries[:5])
    more = f" and {len(entries) - 5} more" if len(entries) > 5 else ""
    kept = sum(entry.checkpoint is not None for entry in entries)
    where = "from their last checkpoints" if kept == len(entries) else "from their beginning"
    if 0 < kept < len(entries):
        where = f"{kept} of them from their last checkpoints, the others from their beginning"
    apart = ", in smaller groups, to find out which trial it is" if fates.apart else ""
    return f"{hand.name} {lost.why}. It had {listed}{more}. They go on, on other workers, {where}{apart}"
