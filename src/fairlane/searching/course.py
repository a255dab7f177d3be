"""The course of a search: which variant begins when, who is compared with whom, and who goes on.

In: what is known of the trials, as it comes in, and the decisions of an earlier run. Out: steps, for whoever
trains, and each decision for a log.

Everything is decided by a clock of epochs: at each tick, every variant that trains is one epoch further. The
clock advances when all of them are, in truth, and then decides in the order of the variants' numbers. So the
same values give the same search, whichever trial was faster, and on whatever machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fairlane.searching.curves import Curves
from fairlane.searching.rungs import Bracket, promoted
from fairlane.searching.samplers import Sampler, Seen, unseen
from fairlane.searching.space import Space
from fairlane.searching.steps import Begin, Confirm, End, Log, Results, Step, TrainTo
from fairlane.searching.stopping import Stopping


@dataclass(eq=False)
class _Member:
    """A variant, as the clock sees it.

    Attributes:
        number: its own.
        hyperparameters: its own.
        bracket: the place of its bracket.
        rung: the place of the rung that it trains to.
        epochs: how many it has.
        state: ``"active"``, ``"waiting"`` at a rung, ``"ready"`` to go on, ``"done"`` or ``"stopped"``.
        seen: what a sampler sees of it, once it has ended.
        curve: the first objective's values, as far as they were looked at.
    """

    number: int
    hyperparameters: Mapping[str, Any]
    bracket: int
    rung: int = 0
    epochs: int = 0
    state: str = "active"
    seen: Seen | None = None
    curve: list[float] = field(default_factory=list)


@dataclass
class _Group:
    """A bracket, and the variants in it; ``rung`` is the one that is decided next."""

    bracket: Bracket
    members: list[_Member] = field(default_factory=list)
    rung: int = 0

    @property
    def full(self) -> bool:
        return len(self.members) >= self.bracket.sizes[0]


class Course:
    """The course of a search.

    Args:
        space: where to look.
        sampler: what proposes.
        stopping: what ends variants early.
        trials: how many variants there are to be.
        epochs: the most that a variant gets.
        width: how many variants train together; only for samplers that learn, and rules by epoch.
        confirm: how many of the best are trained again.
        fresh: the seeds of those.
        log: takes the decisions, and has those of an earlier run.

    Attributes:
        over: whether nothing is left to decide.
        ticks: how often the clock has advanced. Nothing is decided in between.
    """

    def __init__(
        self,
        space: Space,
        sampler: Sampler,
        stopping: Stopping,
        trials: int,
        epochs: int,
        width: int,
        confirm: int,
        fresh: Sequence[int],
        log: Log,
    ) -> None:
        self._space, self._sampler, self._stopping = space, sampler, stopping
        self._trials, self._epochs, self._width = trials, epochs, width
        self._confirm, self._fresh, self._log = confirm, list(fresh), log
        self._members: list[_Member] = []
        self._groups: list[_Group] = []
        self._taken: set[Any] = set()
        self._curves = Curves(epochs)
        self._awaited: list[_Member] = []
        self._asked = self.ticks = 0
        self._exhausted = False
        self.over = False

    def left(self) -> int:
        """How many variants are still to begin, as far as that is known."""
        return 0 if self._exhausted else self._trials - len(self._members)

    @property
    def begins(self) -> bool:
        """Whether variants are still to begin, or the best ones to be trained again."""
        return self.left() > 0 or bool(self._confirm and not self.over)

    def expected(self, variant: int) -> float:
        """How many epochs a variant will probably get.

        Args:
            variant: the number of one that has begun.
        """
        return self._groups[self._members[variant].bracket].bracket.mean

    def reach(self, variant: int) -> float:
        """How many epochs a variant may have by now: where places are few, nobody runs ahead of the clock.

        Else those whose rung is far would train alone, keep their places until the clock is there, and
        leave the rest of their program empty. No decision depends on it.

        Args:
            variant: the number of one that has begun.
        """
        return math.inf if self._width >= self._trials else self._members[variant].epochs + 1

    def advance(self, results: Results) -> list[Step]:
        """All steps that follow from what is known now."""
        steps: list[Step] = []
        while not self.over:
            if not self._awaited:
                steps += self._fill(results)
                if not any(member.state == "active" for member in self._members):
                    steps += self._close(results)
                    break
            active = [] if self._is_behind(results) else self._all_there(results)
            if not active:
                break
            self._advance_clock(active, results)
            if self._stopping.by_epoch:
                steps += self._stop_by_epoch(active, results)
            for place in range(len(self._groups)):
                steps += self._decide(place, results)
        return steps

    def _is_behind(self, results: Results) -> bool:
        """Whether some that train are behind; each event between two ticks looks at a few of them."""
        while self._awaited and self._is_there(self._awaited[-1], results):
            self._awaited.pop()
        return bool(self._awaited)

    def _all_there(self, results: Results) -> list[_Member]:
        """All that train, if none is behind; else they are awaited."""
        active = [member for member in self._members if member.state == "active"]
        self._awaited = [member for member in reversed(active) if not self._is_there(member, results)]
        return [] if self._awaited else active

    def _is_there(self, member: _Member, results: Results) -> bool:
        return results.ended(member.number) or results.epochs(member.number) > member.epochs

    # --- the clock ---

    def _advance_clock(self, active: Sequence[_Member], results: Results) -> None:
        self.ticks += 1
        for member in active:
            # Its last epoch has a tick of its own, whether or not its end is known by then.
            if results.ended(member.number) and results.epochs(member.number) <= member.epochs:
                member.epochs = results.epochs(member.number)
                self._finish(member, "done", results)
                continue
            member.epochs += 1
            limit = self._groups[member.bracket].bracket.epochs[member.rung]
            if member.epochs >= self._epochs:
                self._finish(member, "done", results)
            elif member.epochs >= limit:
                member.state = "waiting"

    def _finish(self, member: _Member, state: str, results: Results) -> None:
        member.state = state
        if self._sampler.learns:
            values = results.values(member.number, member.epochs)
            curve = self._curve(member, results)
            lost = not all(map(math.isfinite, values))
            member.seen = Seen(
                member.hyperparameters, "failed" if lost else state, values, member.epochs, curve
            )

    def _curve(self, member: _Member, results: Results) -> tuple[float, ...]:
        for epoch in range(len(member.curve), member.epochs):  # a value that was read once does not change
            member.curve.append(results.values(member.number, epoch + 1)[0])
        return tuple(member.curve)

    # --- who begins ---

    def _fill(self, results: Results) -> list[Step]:
        """Give places that are free to those that were promoted, then to new variants."""
        steps: list[Step] = []
        active = sum(member.state == "active" for member in self._members)
        for member in self._members:
            if member.state == "ready" and active < self._width:
                member.state = "active"
                limit = self._groups[member.bracket].bracket.epochs[member.rung]
                steps.append(TrainTo(member.number, limit))
                active += 1
        while active < self._room() and self.left() > 0:
            begun = self._propose()
            if begun is None:
                self._exhausted = True
                self._cut_last_group()
                for place in range(len(self._groups)):
                    steps += self._decide(place, results)
                break
            first = 1 if self._stopping.by_epoch else self._groups[begun.bracket].bracket.epochs[0]
            steps += [Begin(begun.number, begun.hyperparameters), TrainTo(begun.number, first)]
            active += 1
        return steps

    def _room(self) -> int:
        """How many may train now. At the start of a search that learns they become more by and by.

        Else all would end in one epoch, and their successors would be proposed without anything that they
        could learn of each other.
        """
        if not self._sampler.learns or self._stopping.by_epoch or self.ticks >= self._epochs:
            return self._width
        return max(1, math.ceil(self._width * (self.ticks + 1) / self._epochs))

    def _propose(self) -> _Member | None:
        number = len(self._members)
        group = self._open_group()
        past = self._log.find("variant", number)
        found: dict[str, Any] | None = None
        if past is None or self._sampler.remembers:
            seen = [self._seen(member) for member in self._members] if self._sampler.learns else []
            found, self._asked = unseen(self._sampler, self._space, self._asked, seen, self._taken)
        if past is not None:
            found, self._asked = self._space.decode(past["values"]), int(past["asked"])
        elif found is not None:
            encoded = self._space.encode(found)
            self._log.add("variant", number, values=encoded, asked=self._asked, bracket=group)
        if found is None:
            return None
        self._taken.add(self._space.key(found))
        member = _Member(number, found, group)
        self._members.append(member)
        self._groups[group].members.append(member)
        return member

    def _open_group(self) -> int:
        """The place of the bracket that the next variant begins in."""
        if not self._groups or self._groups[-1].full:
            place = len(self._groups)
            bracket = self._stopping.bracket(place, self.left(), self._epochs, self._sampler.learns)
            past = self._log.find("bracket", place)
            if past is None:
                self._log.add("bracket", place, sizes=list(bracket.sizes), epochs=list(bracket.epochs))
            elif len(bracket.epochs) > 1:  # an earlier run with fewer trials has cut it
                bracket = Bracket(tuple(past["sizes"]), tuple(past["epochs"])).cut(self.left())
            self._groups.append(_Group(bracket))
        return len(self._groups) - 1

    def _cut_last_group(self) -> None:
        """No variant is left: the last bracket has those that it has."""
        if self._groups:
            last = self._groups[-1]
            if last.members:
                last.bracket = last.bracket.cut(len(last.members))
            else:
                self._groups.pop()

    def _seen(self, member: _Member) -> Seen:
        return member.seen or Seen(member.hyperparameters, "running", epochs=member.epochs)

    # --- who goes on ---

    def _decide(self, place: int, results: Results) -> list[Step]:
        """Decide a bracket's next rung, if all its variants are there."""
        group = self._groups[place]
        if not group.full or group.rung >= len(group.bracket.epochs) - 1:
            return []
        cohort = [member for member in group.members if member.rung == group.rung]
        cohort = [member for member in cohort if member.state != "stopped"]
        if any(member.state in ("active", "ready") for member in cohort):
            return []
        past = self._log.find("rung", place, group.rung)
        values = {m.number: results.values(m.number, m.epochs)[0] for m in cohort}
        chosen = promoted(values, group.bracket.sizes[group.rung + 1])
        if past is not None:  # those that had failed then, and were trained again, are looked at again
            lost = {int(n) for n, value in past["values"].items() if value is None}
            back = {n for n in chosen if n in lost and results.can_go_on(n)}
            chosen = [*past["promoted"], *sorted(back - set(past["promoted"]))]
        if past is None or len(chosen) > len(past["promoted"]):
            epochs = group.bracket.epochs[group.rung]
            self._log.add("rung", place, group.rung, epochs=epochs, values=_plain(values), promoted=chosen)
        group.rung += 1
        return self._part(cohort, chosen, results)

    def _part(self, cohort: Sequence[_Member], chosen: Sequence[int], results: Results) -> list[Step]:
        steps: list[Step] = []
        for member in cohort:
            if member.number in chosen:
                member.rung += 1
                member.state = "ready" if member.state == "waiting" else member.state
            elif member.state == "waiting":
                self._finish(member, "stopped", results)
                steps.append(End(member.number))
        return steps

    def _stop_by_epoch(self, active: Sequence[_Member], results: Results) -> list[Step]:
        """Ask the rule of each that trains; all answers are about the same moment."""
        for member in active:
            self._curves.follow(member.number, self._curve(member, results))
            if member.state == "done":
                self._curves.end(member.number)
        training = [member for member in active if member.state == "active"]
        past = {member.number: self._log.find("stop", member.number) for member in training}
        ended = [member for member in training if self._ends(member, past[member.number])]
        for member in ended:
            if past[member.number] is None:
                value = _plain_value(member.curve[-1])
                self._log.add("stop", member.number, epochs=member.epochs, value=value)
            self._finish(member, "stopped", results)
            self._curves.end(member.number)
        return [End(m.number) if m.state == "stopped" else TrainTo(m.number, m.epochs + 1) for m in training]

    def _ends(self, member: _Member, past: Mapping[str, Any] | None) -> bool:
        if past is not None:
            return bool(past["epochs"] == member.epochs)
        if not math.isfinite(member.curve[-1]):
            return True
        return self._stopping.ends(member.number, self._curves, self._epochs)

    # --- the end ---

    def _close(self, results: Results) -> list[Step]:
        """Nothing trains, and nothing is left to begin."""
        self.over = True
        if not self._confirm:
            return []
        past = self._log.find("confirm", self._trials)
        values = {m.number: results.values(m.number, m.epochs)[0] for m in self._members}
        finite = [m for m in self._members if math.isfinite(values[m.number])]
        best = sorted(finite, key=lambda m: (_cut_at(m), values[m.number], m.number))
        # An earlier run may have confirmed others of equal merit; and fewer, or with fewer seeds.
        first = [] if past is None else list(past["variants"])
        chosen = list(dict.fromkeys([*first, *(member.number for member in best)]))[: self._confirm]
        if past is not None and (chosen, self._fresh) == (first, list(past["seeds"])):
            return [Confirm(tuple(chosen))] if chosen else []
        shown = _plain({number: values[number] for number in chosen})
        self._log.add("confirm", self._trials, variants=chosen, seeds=self._fresh, values=shown)
        return [Confirm(tuple(chosen))] if chosen else []


def _cut_at(member: _Member) -> int:
    """Orders those that a rule has stopped after all others, the latest first."""
    return -(10**9) if member.state != "stopped" else -member.epochs


def _plain(values: Mapping[int, float]) -> dict[str, float | None]:
    return {str(number): _plain_value(value) for number, value in values.items()}


def _plain_value(value: float) -> float | None:
    """JSON has no infinity."""
    return value if math.isfinite(value) else None
