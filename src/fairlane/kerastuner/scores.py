"""The order of a search's variants by KerasTuner's score: the mean over executions of the best epoch's value.

In: the records of a study, and the objectives. Out: a `Scored` per variant that was trained, the best first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairlane.kerastuner.hypermodel import Objective
from fairlane.results.directions import Mode, direction
from fairlane.results.logs import known_directions
from fairlane.store import Record

_COUNT = ("done", "stopped")


@dataclass(frozen=True)
class Scored:
    """A variant and its score.

    Attributes:
        number: the variant's.
        hyperparameters: its own, by the names of the space.
        score: the mean over its trials.
        trial: the number of its best trial.
    """

    number: int
    hyperparameters: Mapping[str, Any]
    score: float
    trial: int


def scored(records: Iterable[Record], objectives: Sequence[Objective]) -> list[Scored]:
    """All variants whose trials all have a value, the best first.

    Args:
        records: those of the study.
        objectives: one, or several, whose sum counts: those to be large with a minus.
    """
    listed = list(records)
    signs = signs_of(listed, objectives)
    down = (
        1.0 if len(signs) > 1 else next(iter(signs.values()))
    )  # the score of one objective has its own sign
    variants: dict[int, list[Record]] = {}
    for record in listed:
        variants.setdefault(record.trial.variant.number, []).append(record)
    found = []
    for number, own in variants.items():
        best = [_best(record, signs) for record in own]
        if all(map(math.isfinite, best)):
            first = own[best.index(min(best))].trial
            found.append(
                Scored(number, first.hyperparameters, down * math.fsum(best) / len(best), first.number)
            )
    return sorted(found, key=lambda one: (down * one.score, one.number))


def signs_of(records: Sequence[Record], objectives: Sequence[Objective]) -> dict[str, float]:
    """1 for an objective whose small values are better, -1 for one whose large values are.

    Args:
        records: those of the study, which know the compiled metrics.
        objectives: as for `scored`.
    """
    known = known_directions(records)
    modes: dict[str, Mode] = {o.name: o.direction for o in objectives}  # type: ignore[misc]
    return {name: 1.0 if direction(name, mode, known) == "min" else -1.0 for name, mode in modes.items()}


def _best(record: Record, signs: Mapping[str, float]) -> float:
    """The smallest value of all epochs; infinite where there is none."""
    if str(record.state) not in _COUNT:
        return math.inf
    values = [
        math.fsum(sign * float(logs[name]) for name, sign in signs.items())
        for _, logs in record.epochs
        if signs.keys() <= logs.keys()
    ]
    return min((value for value in values if math.isfinite(value)), default=math.inf)
