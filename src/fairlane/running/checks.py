"""What `compare` and `search` check before, and warn of after.

In: arguments, and the records of a study. Out: errors and warnings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import keras

from fairlane.errors import FairlaneWarning, StudyError
from fairlane.kit.call_sites import caller, warn_at
from fairlane.kit.text import plural
from fairlane.running.data import Data
from fairlane.running.models import Models
from fairlane.store import Record, Records
from fairlane.trials import Trial, TrialState

_ENGINES = ("auto", "lanes", "reference")
_ON_ERROR = ("record", "raise")
_RESUME = ("auto", "force", "never")


def check_choices(engine: str, on_error: str) -> None:
    """Refuse another engine, or another answer to errors.

    Raises:
        StudyError: which values are possible.
    """
    if engine not in _ENGINES:
        raise StudyError(f"engine must be one of {', '.join(map(repr, _ENGINES))}, not {engine!r}")
    if on_error not in _ON_ERROR:
        raise StudyError(f"on_error must be 'record' or 'raise', not {on_error!r}")


def check_resume(resume: Any) -> None:
    """Refuse another way to continue.

    Raises:
        StudyError: which values are possible.
    """
    if resume not in _RESUME:
        raise StudyError(f"resume must be one of {', '.join(map(repr, _RESUME))}, not {resume!r}")


def rehearsed(
    models: Models, trial: Trial, data: Data, common: Mapping[str, Any], test_data: Any
) -> list[keras.Model]:
    """Fresh models of a trial to try data on; none where its builder raises."""
    rehearsed = models.rehearse(trial, partial(data.batch, trial))
    if rehearsed and common.get("validation_data") is not None and test_data is not None:
        rehearsed += models.rehearse(trial)
    return rehearsed


def warn_of_nothing(records: Sequence[Record]) -> None:
    """Warn of a study of which every trial failed before its first epoch."""
    if all(record.state is TrialState.FAILED and not record.epochs for record in records):
        first = records[0]
        how_many = "the only trial" if len(records) == 1 else f"each of the {len(records)} trials"
        warn_at(
            caller(),
            f"nothing was trained: {how_many} failed before its first epoch. The first, {first.trial}: "
            f"{first.error}",
            FairlaneWarning,
        )


def warn_of_shorter(kept: Records, trials: Sequence[Trial], epochs: Sequence[int]) -> None:
    """Warn of stored trials that are not asked for, and were trained for fewer epochs than any that is.

    Args:
        kept: all trials of the study.
        trials: those that are asked for.
        epochs: how many epochs each of them is to have.
    """
    own, fewest = set(map(id, trials)), min(epochs, default=0)
    others = [r for r in kept if id(r.trial) not in own and r.state is TrialState.DONE]
    shorter = [r for r in others if len(r.epochs) < fewest and "epochs" not in r.trial.variant.fit_arguments]
    if shorter and max(len(r.epochs) for r in others) < fewest:
        warn_at(
            caller(),
            f"the stored study has {plural(len(shorter), 'trial')} that this call does not name, such as "
            f"{shorter[0].trial}, trained for {len(shorter[0].epochs)} epochs and not {fewest}. Results "
            "compare the last epochs of all; name these variants, too, to train them as long",
            FairlaneWarning,
        )


def warn_of(kept: Records) -> None:
    """Pass on what the store has to say."""
    notes, kept.notes[:] = list(kept.notes), []
    for note in notes:
        warn_at(caller(), note, FairlaneWarning)
