"""Landing: what an epoch gave → the lanes' turns, in two steps, with the orders between them.

In: chunks that have come to the end of an epoch. Out: events; then, when orders were given, the same chunks
on their way again, or their lanes where they belong.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from fairlane.engines.contract import Fork, ForkRefused, GoOn, Job, Order, Orders, Stop, forked
from fairlane.engines.lanes.callbacks import Look
from fairlane.engines.lanes.chunk import Chunk, Outcome, Shape
from fairlane.engines.lanes.convoy import Leg
from fairlane.engines.lanes.flights import Flights
from fairlane.engines.lanes.forming import Forming
from fairlane.engines.lanes.lane import Lane
from fairlane.engines.lanes.roster import Reports
from fairlane.engines.lanes.turns import Turns
from fairlane.engines.lanes.yard import Yard
from fairlane.models.callback_memory import trial_memory
from fairlane.trials import Checkpoint, State


class Landing:
    """Takes chunks in, and sends them on.

    Args:
        turns: ends and begins epochs.
        yard: where lanes wait.
        forming: has programs compiled.
        flights: sends chunks.
        reports: takes what happened.
        fork: takes a job that goes on from a copy of a lane.
    """

    def __init__(
        self,
        turns: Turns,
        yard: Yard,
        forming: Forming,
        flights: Flights,
        reports: Reports,
        fork: Callable[[Job], None],
    ) -> None:
        self._turns, self._yard, self._forming, self._flights = turns, yard, forming, flights
        self._reports, self._fork = reports, fork
        self._ended: deque[Chunk] = deque()
        self._halfway: tuple[Chunk, Outcome] | None = None

    # --- the first step: epochs end -----------------------------------------------------------------

    def land(self, chunk: Chunk, outcome: Outcome) -> None:
        """Tell each lane of its epoch. Its chunk then waits for orders; or flies on, to its validation."""
        if chunk.halts_at(outcome):
            self._halt(chunk, outcome)
            if chunk.going():
                self._flights.send_on(chunk, outcome)
        else:
            self._end(chunk, outcome)

    def halt(self, leg: Leg) -> None:
        """Tell lanes that read their batches that training has ended; their convoy goes on to validation."""
        self._halt(leg.chunk, leg.outcome())
        leg.go_on_from(leg.chunk.state)

    def arrive(self, leg: Leg) -> None:
        """Tell lanes that read their batches of their epoch."""
        self._end(leg.chunk, leg.outcome())

    def _halt(self, chunk: Chunk, outcome: Outcome) -> None:
        self._halfway = chunk, outcome
        chunk.land(outcome.state, trained=True)
        changes = {i: self._turns.begin_test(chunk, outcome, i) for i in range(len(chunk.lanes))}
        chunk.patch({i: state for i, state in changes.items() if state is not None})
        self._halfway = None

    def _end(self, chunk: Chunk, outcome: Outcome) -> None:
        self._halfway = chunk, outcome
        chunk.land(outcome.state)
        chunk.account(outcome)
        ends = {i: self._turns.end_epoch(chunk, outcome, i) for i, x in enumerate(chunk.lanes) if not x.ended}
        chunk.patch({i: state for i, state in ends.items() if state is not None})
        for i, lane in enumerate(chunk.lanes):
            if not lane.ended:
                self._turns.save(lane, chunk.viewer(i))
        self._ended.append(chunk)
        self._halfway = None

    # --- the second step: orders are there ----------------------------------------------------------

    def answer(self, orders: Orders) -> None:
        """Do with each lane that has ended an epoch what was ordered; without an order, it waits."""
        while self._ended:
            chunk = self._ended[0]
            self._go_on(chunk, orders.take([lane.trial for lane in chunk.going()]))
            self._ended.popleft()
        paused = self._yard.paused
        for order in orders.take(paused) if paused else ():
            lane, fleet = paused[order.trial]
            if isinstance(order, Fork):
                self._copy(lane, lane.own_state, order)
            elif isinstance(order, GoOn | Stop):
                if isinstance(order, Stop):
                    lane.stop()
                self._yard.resume(lane)
                goes_on, changed = self._turns.begin(lane, lane.own_state, fleet.loop_name(fleet.width))
                if changed is not None:
                    lane.rest_with(changed)
                if goes_on:
                    self._yard.line_up(lane, fleet)

    @property
    def has_ended(self) -> bool:
        """Whether lanes have ended an epoch, and orders were not looked for since."""
        return bool(self._ended)

    def _go_on(self, chunk: Chunk, orders: Sequence[Order]) -> None:
        answers = {order.trial: order for order in orders if isinstance(order, GoOn | Stop)}
        going: list[int] = []
        changes: dict[int, State] = {}
        for i, lane in enumerate(chunk.lanes):
            if lane.ended:
                continue
            for order in orders:
                if isinstance(order, Fork) and order.trial is lane.trial:
                    self._copy(lane, chunk.viewer(i), order)
            answer = answers.get(lane.trial)
            if answer is None:
                lane.rest_with(chunk.look(i))
                self._yard.pause(lane, chunk.fleet)
                continue
            if isinstance(answer, Stop):
                lane.stop()
            goes_on, changed = self._turns.begin(lane, chunk.viewer(i), chunk.fleet.loop_name(chunk.width))
            if goes_on:
                going.append(i)
            if changed is not None:
                changes[i] = changed
        chunk.patch(changes)
        shapes = {Shape.of(chunk.lanes[i]) for i in going}
        if len(going) == len(chunk.lanes) and len(shapes) == 1:
            self._send(chunk)
        else:
            for i in going:
                chunk.lanes[i].rest_with(chunk.look(i))
                self._yard.line_up(chunk.lanes[i], chunk.fleet)

    def _send(self, chunk: Chunk) -> None:
        """Send a chunk on as it is."""
        convoy = self._yard.convoy_of(chunk.lanes[0])
        if convoy is not None:
            convoy.go_on_with(chunk)
        elif self._forming.ready(chunk):
            self._flights.send(chunk)

    def _copy(self, lane: Lane, look: Look, order: Fork) -> None:
        copy = lane.checkpoint(look, due=False)
        if isinstance(copy, Checkpoint) and not trial_memory.is_complete(copy.memory):
            copy = trial_memory.why_incomplete(copy.memory)
        if isinstance(copy, str):
            self._reports.add(ForkRefused(order.job, copy))
        else:
            self._fork(forked(order.job, copy))

    # --- where it is broken off ---------------------------------------------------------------------

    def remaining(self) -> list[tuple[Chunk, Outcome | None]]:
        """The chunk whose landing was broken off, with its outcome; and those that wait for orders."""
        halfway = [] if self._halfway is None else [self._halfway]
        return [*halfway, *((chunk, None) for chunk in self._ended if not self._is_halfway(chunk))]

    def _is_halfway(self, chunk: Chunk) -> bool:
        return self._halfway is not None and self._halfway[0] is chunk
