"""A search → the facts of its section: how far it is, what it has found by now, and who was compared when.

In: the records and decisions of a study. Out: a dict of JSON data, or None for a study that is not a search.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from fairlane.errors import StudyError
from fairlane.kit.text import plural
from fairlane.results.directions import Modes, direction
from fairlane.results.logs import known_directions
from fairlane.results.pareto import counts, pareto
from fairlane.results.report.values import plain
from fairlane.results.searched import counting, objectives, searching
from fairlane.results.variants import variants
from fairlane.store import Decision, Record, Records
from fairlane.trials import TrialState

_STATES = {
    TrialState.DONE: "trained to the end",
    TrialState.STOPPED: "stopped by a rule",
    TrialState.DIVERGED: "diverged",
    TrialState.FAILED: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
    TrialState.INTERRUPTED: "interrupted",
}
"""In the order in which a page shows them."""


def search_of(records: Iterable[Record]) -> dict[str, Any] | None:
    """What a report shows of a search.

    Args:
        records: of the study.

    Returns:
        ``objective`` (its name), ``better`` (``"min"`` or ``"max"``), ``words`` (sentences), ``values`` (for
        each variant that has ended, in the order in which they began: ``variant``, ``value``, ``stopped``,
        and ``best``, the best value until then of those that were trained to their end), ``rungs`` (a row for
        each rung of each bracket: ``bracket``, ``rung``, ``epochs``, ``size``, ``there``, how many are there,
        and ``promoted``, None where it is not decided), ``objectives`` (their names), and ``front`` (of
        several objectives, the variants on the front: ``variant`` and ``values``).
    """
    goals = objectives(records) if isinstance(records, Records) else []
    if not goals or not isinstance(records, Records):
        return None
    own, decisions = searching(records), list(records.decisions())
    name, mode = goals[0]
    better = _better(own, name, mode)
    return {
        "objective": name,
        "better": better,
        "words": _words(records, own, decisions),
        "values": _values(own, name, better),
        "rungs": _rungs(own, decisions),
        "objectives": [goal for goal, _ in goals],
        "front": _front(records, goals),
    }


def _better(records: Sequence[Record], name: str, mode: str) -> str:
    try:
        return direction(name, cast(Modes, mode), known_directions(records))
    except StudyError:
        return "min"  # nothing was logged yet


def _words(records: Records, own: Sequence[Record], decisions: Sequence[Decision]) -> list[str]:
    """How many trials are in which state, and what else is to be said."""
    search = next(one.content for one in reversed(decisions) if one.about[0] == "search")
    begun = len({record.trial.variant.number for record in own})
    states = [record.state for record in own]
    listed = ", ".join(f"{states.count(state)} {word}" for state, word in _STATES.items() if state in states)
    found = [
        f"{plural(begun, 'variant')} by sampler {str(search.get('sampler', 'unknown'))!r} until now. "
        f"{plural(len(own), 'trial')}: {listed}."
    ]
    again = len(list(records)) - len(own)
    if again:
        found.append(f"The best are trained again with fresh seeds: {plural(again, 'trial')} besides.")
    by_epoch = sum(one.about[0] == "stop" for one in decisions)
    if by_epoch:
        found.append(f"The rule that looks at each epoch has stopped {plural(by_epoch, 'variant')}.")
    return found


def _values(own: Sequence[Record], name: str, better: str) -> list[dict[str, Any]]:
    open_ = {record.trial.variant.number for record in own if not record.state.ended}
    ended = [record for record in own if record.trial.variant.number not in open_]
    try:
        frame = variants(ended, name) if ended else None
    except StudyError:
        frame = None
    found: list[dict[str, Any]] = []
    best: float | None = None
    for row in [] if frame is None else frame.to_dict("records"):
        value = float(row["value"])
        if row["state"] == "done" and value == value:
            best = value if best is None else min(best, value) if better == "min" else max(best, value)
        number = int(row["variant"])
        stopped = row["state"] == "stopped"
        so_far = None if best is None else plain(best)
        found.append({"variant": number, "value": plain(value), "stopped": stopped, "best": so_far})
    return found


def _rungs(own: Sequence[Record], decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    """A row for each rung of each bracket in which variants are compared."""
    decided = {one.about[1:]: one.content for one in decisions if one.about[0] == "rung"}
    epochs_of: dict[int, int] = {}
    for record in own:
        number = record.trial.variant.number
        epochs_of[number] = min(len(record.epochs), epochs_of.get(number, len(record.epochs)))
    members: dict[Any, list[int]] = {}
    for one in decisions:
        if one.about[0] == "variant":
            members.setdefault((one.content["bracket"],), []).extend(one.about[1:])
    rows = []
    for one in decisions:
        if one.about[0] != "bracket" or len(one.content["epochs"]) < 2:
            continue
        there = [epochs_of.get(number, 0) for number in members.get(one.about[1:], ())]
        for rung, (size, epochs) in enumerate(zip(one.content["sizes"], one.content["epochs"], strict=False)):
            promoted = decided.get((*one.about[1:], rung))
            rows.append(
                {
                    "bracket": one.about[-1],
                    "rung": rung,
                    "epochs": epochs,
                    "size": size,
                    "there": sum(epochs <= have for have in there),
                    "promoted": None if promoted is None else len(promoted["promoted"]),
                }
            )
    return rows


def _front(records: Records, goals: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """The variants on the front of several objectives; none before there is one."""
    if len(goals) < 2:
        return []
    given = [(name, None if mode == "auto" else mode) for name, mode in goals]
    try:
        frame = pareto(counting(records), given, counts(records))
    except StudyError:
        return []
    rows = frame[frame["front"]].to_dict("records")
    return [
        {"variant": int(row["variant"]), "values": [plain(row[name]) for name, _ in goals]} for row in rows
    ]
