"""A study as one of Optuna's, and what Optuna says of it.

In: the records of a study. Out: an ``optuna.Study`` with a trial per variant; and how much each
hyperparameter matters, computed by Optuna.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd

from fairlane.errors import StudyError
from fairlane.kit.extras import needed
from fairlane.results.directions import Modes
from fairlane.results.question import Question, ask
from fairlane.results.variants import mean_curve, value_of
from fairlane.store import Record
from fairlane.trials import TrialState, short

METHODS = ("fanova", "pedanova")


def to_optuna(
    records: Sequence[Record],
    name: str | None,
    storage: Any,
    metric: str,
    mode: Modes,
    seed: int | None = None,
) -> Any:
    """Write a study of Optuna's.

    Args:
        records: of the study.
        name: the new study's; None lets Optuna give one.
        storage: as for ``optuna.create_study``; None keeps it in memory.
        metric: the log whose values the trials have.
        mode: which values are better.
        seed: of the only trials that count; None takes the means over all seeds.

    Raises:
        StudyError: no trial has logged the metric, or the storage has a study of this name.
    """
    optuna = needed("optuna", "study.to_optuna()")
    question = ask(records, metric, None, "last", mode)
    variants = _by_variant(records, seed)
    made = [_trial(optuna, own, question, _distributions(optuna, records)) for own in variants]
    direction = "minimize" if question.better == "min" else "maximize"
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(storage=storage, study_name=name, direction=direction)
    except optuna.exceptions.DuplicatedStudyError as error:
        raise StudyError(
            f"{storage} has a study {name!r} of Optuna's already; give another storage, or delete that study"
        ) from error
    finally:
        optuna.logging.set_verbosity(before)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this is experimental in Optuna
        study.set_metric_names([metric])
    study.add_trials(made)
    return study


def importance(records: Sequence[Record], metric: str, mode: Modes, method: str, rng: int) -> pd.DataFrame:
    """How much each hyperparameter matters for a metric.

    Args:
        records: of the study.
        metric: a log's name.
        mode: which values are better.
        method: ``"fanova"`` or ``"pedanova"``.
        rng: the seed of the forests of fANOVA.

    Returns:
        Columns ``hyperparameter``, ``importance``, ``low`` and ``high``, the largest first: the importance by
        the means over seeds, and the smallest and largest that single seeds give; NaN with one seed.

    Raises:
        StudyError: there are too few variants, or nothing varies.
    """
    optuna = needed("optuna", "study.importance()")
    if method not in METHODS:
        raise StudyError(f"method must be 'fanova' or 'pedanova', not {method!r}")
    with _quiet(optuna):
        return _importance(optuna, records, metric, mode, method, rng)


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Without Optuna's line on the terminal for each study that it is given."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _importance(
    optuna: Any, records: Sequence[Record], metric: str, mode: Modes, method: str, rng: int
) -> pd.DataFrame:
    evaluators = optuna.importance
    whole = to_optuna(records, None, None, metric, mode)
    if sum(trial.state.name == "COMPLETE" for trial in whole.trials) < _FEWEST:
        raise StudyError(
            f"importance needs {_FEWEST} variants that were trained to their end; train more, or use "
            "stop=None"
        )

    def of(study: Any) -> dict[str, float]:
        kind = evaluators.FanovaImportanceEvaluator(seed=rng) if method == "fanova" else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is experimental in Optuna
            kind = kind or evaluators.PedAnovaImportanceEvaluator()
            return dict(evaluators.get_param_importances(study, evaluator=kind))

    found = of(whole)
    if not found:
        raise StudyError("importance needs a hyperparameter that all variants have and that varies")
    seeds = sorted({record.trial.seed for record in records})
    single_seeds = [of(to_optuna(records, None, None, metric, mode, seed)) for seed in seeds[:_SEEDS]]
    several = len(single_seeds) > 1
    rows = [
        {
            "hyperparameter": name,
            "importance": value,
            "low": min(one.get(name, math.nan) for one in single_seeds) if several else math.nan,
            "high": max(one.get(name, math.nan) for one in single_seeds) if several else math.nan,
        }
        for name, value in found.items()
    ]
    return pd.DataFrame(rows).sort_values("importance", ascending=False, ignore_index=True)


_FEWEST = 4
"""Variants that an importance needs."""
_SEEDS = 10
"""Of how many seeds the range is shown."""


def _by_variant(records: Sequence[Record], seed: int | None) -> list[list[Record]]:
    found: dict[int, list[Record]] = {}
    for record in records:
        if seed is None or record.trial.seed == seed:
            found.setdefault(record.trial.variant.number, []).append(record)
    return [found[number] for number in sorted(found)]


def _distributions(optuna: Any, records: Sequence[Record]) -> dict[str, Any]:
    """For each hyperparameter that varies, the range or the list of its values; others as their text."""
    kinds = optuna.distributions
    values: dict[str, list[Any]] = {}
    for record in records:
        for name, value in record.trial.hyperparameters.items():
            values.setdefault(name, []).append(value)
    made: dict[str, Any] = {}
    for name, listed in values.items():
        if all(type(value) is int for value in listed):
            made[name] = kinds.IntDistribution(min(listed), max(listed))
        elif all(type(value) in (int, float) and math.isfinite(value) for value in listed):
            low, high = float(min(listed)), float(max(listed))
            # Spread over decades, as a learning rate is, it was most probably drawn on that scale.
            made[name] = kinds.FloatDistribution(low, high, log=0 < low * 100 <= high)
        else:
            made[name] = kinds.CategoricalDistribution(list(dict.fromkeys(map(_plain, listed))))
    return made


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else short(value)


def _trial(optuna: Any, own: Sequence[Record], question: Question, distributions: dict[str, Any]) -> Any:
    given = own[0].trial.hyperparameters
    names = [name for name in distributions if name in given]
    params = {
        name: (
            _plain(given[name])
            if type(distributions[name]).__name__.startswith("Categorical")
            else given[name]
        )
        for name in names
    }
    curve, value = mean_curve(own, question.metric), value_of(own, question.metric)
    states = optuna.trial.TrialState
    stopped = any(record.state is TrialState.STOPPED for record in own)
    done = all(record.state is TrialState.DONE for record in own)
    whole = math.isfinite(value)
    state = states.COMPLETE if done and whole else states.PRUNED if stopped and whole else states.FAIL
    return optuna.trial.create_trial(
        state=state,
        value=value if state is not states.FAIL else None,
        params=params,
        distributions={name: distributions[name] for name in names},
        intermediate_values=curve,
        user_attrs={
            "variant": own[0].trial.variant.number,
            "trials": [record.trial.number for record in own],
            "seeds": [record.trial.seed for record in own],
        },
    )
