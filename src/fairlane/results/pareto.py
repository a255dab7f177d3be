"""Variants by several objectives: their values, and the front, on which no variant is better in everything.

In: the records by which variants are compared, and the objectives. Out: a data frame with a row per variant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from fairlane.errors import StudyError
from fairlane.results.cells import cells_of, named_cells
from fairlane.results.directions import Modes
from fairlane.results.ranking import read
from fairlane.store import Record, Records

PARAMETERS = "parameters"
"""The objective that is no log: how many parameters are trained."""

COUNTED = "parameters"
"""The word of the decisions that hold these counts, one per variant."""


def named(given: Any) -> tuple[str, str | None]:
    """One objective as users write it → its name and its direction, None where that is not said.

    Args:
        given: a log's name, a pair of a name and ``"min"`` or ``"max"``, or what has a name and a direction.

    Raises:
        StudyError: it is something else.

    Example:
        >>> named("val_loss"), named(("val_auc", "max"))
        (('val_loss', None), ('val_auc', 'max'))
    """
    if isinstance(given, str) and given:
        return given, None
    name, mode = getattr(given, "name", None), getattr(given, "direction", None)
    if isinstance(given, tuple) and len(given) == 2:
        name, mode = given
    if isinstance(name, str) and mode in ("min", "max"):
        return name, str(mode)
    raise StudyError(
        "objective must be a log's name such as 'val_loss', a pair such as ('val_auc', 'max'), or a list of "
        f"these; not {given!r}"
    )


def pareto(
    records: Sequence[Record], objectives: Sequence[tuple[str, str | None]], count: Callable[[int], float]
) -> pd.DataFrame:
    """A row per variant, with the mean of each objective over its trials that count.

    Args:
        records: of the trials by which variants are compared.
        objectives: names, each with ``"min"``, ``"max"``, or None where Fairlane is to know it.
        count: a variant's number → how many of its parameters are trained, NaN where that is not known.

    Returns:
        As `fairlane.Study.pareto`. ``attrs``: ``objectives`` (name → ``"min"`` or ``"max"``) and ``notes``.

    Raises:
        StudyError: there is no such metric, or it is not known which values of it are better.
    """
    names, cells = named_cells(records)
    taken = [name for name, _ in objectives if name in names or name in ("variant", "front")]
    if taken:
        raise StudyError(
            f"pareto can't show the objective {taken[0]!r}, because a column has this name already: a "
            "hyperparameter is called so. Rename the hyperparameter"
        )
    numbers = sorted(cells)
    columns: dict[str, Any] = {"variant": numbers}
    columns |= {name: cells_of([cells[number] for number in numbers], name) for name in names}
    whole, better = np.ones(len(numbers), dtype=bool), {}
    notes: dict[str, None] = {}
    for name, mode in objectives:
        if name == PARAMETERS:
            columns[name], better[name] = [float(count(number)) for number in numbers], mode or "min"
            continue
        found = read(records, name, None, "last", cast(Modes, mode or "auto"))
        columns[name] = [_mean(list(found.values[number].values())) for number in numbers]
        better[name] = found.question.better
        whole &= [not found.failed[number] for number in numbers]
        notes |= dict.fromkeys(found.notes_of_values)
    frame = pd.DataFrame(columns)
    signed = np.column_stack([(-1 if way == "max" else 1) * frame[name] for name, way in better.items()])
    frame["front"] = front(np.where(whole[:, None], signed, np.nan))
    order = frame.assign(_main=signed[:, 0], _later=~frame["front"])
    frame = frame.loc[order.sort_values(["_later", "_main", "variant"]).index].reset_index(drop=True)
    frame.attrs |= {"objectives": better, "notes": tuple(notes)}
    return frame


def front(values: np.ndarray) -> np.ndarray:
    """Which points are on the front: no other point is as good in every column and better in one.

    Args:
        values: a row per point, a column per objective, small ones being better. A point with a value that is
            not finite is not on the front.

    Example:
        >>> front(np.array([[1.0, 9.0], [2.0, 3.0], [2.0, 4.0], [5.0, 1.0], [0.0, np.nan]])).tolist()
        [True, True, False, True, False]
    """
    finite = np.isfinite(values).all(axis=1)
    found: np.ndarray = finite.copy()
    for place in np.flatnonzero(finite):
        others = values[finite]
        as_good = (others <= values[place]).all(axis=1)
        found[place] = not (as_good & (others < values[place]).any(axis=1)).any()
    return found


def counts(records: Records) -> Callable[[int], float]:
    """How many parameters of a variant's model are trained, as its search has counted them.

    Where none has, they are counted in the trained weights of one of its trials.

    Args:
        records: of the study.
    """
    made = {one.about[1:]: one.content["count"] for one in records.decisions() if one.about[0] == COUNTED}

    def of(number: int) -> float:
        if made.get((number,)) is not None:
            return float(made[number,])
        for record in records:
            weights = records.weights(record.trial) if record.trial.variant.number == number else None
            if weights is not None:
                return float(sum(int(array.size) for array in weights.state.trainable))
        return math.nan

    return of


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
