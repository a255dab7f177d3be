"""Whole cross-validations of a study, as what an ensemble is chosen from.

In: records of trials with folds. Out: those of each variant and seed together; and what each of them predicts
for the samples that its models were not trained on, with the targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from fairlane.errors import StudyError
from fairlane.results.study.members import Members
from fairlane.store import Record


def whole_crosses(records: Sequence[Record]) -> list[list[Record]]:
    """The trials of all folds, for each variant and seed that has all.

    Args:
        records: trials that are done.

    Raises:
        StudyError: there are no folds, or no variant and seed has them all.
    """
    found: dict[tuple[int, int], dict[int, Record]] = {}
    for record in records:
        trial = record.trial
        if trial.fold is None:
            raise StudyError("on='oof' chooses by out-of-fold predictions, and the study has no folds")
        found.setdefault((trial.variant.number, trial.seed), {})[trial.fold] = record
    every = set().union(*found.values())
    whole = [[folds[n] for n in sorted(folds)] for folds in found.values() if set(folds) == every]
    if not whole:
        raise StudyError("on='oof' needs a variant and a seed of which all folds are done, and there is none")
    return whole


def out_of_fold(study: Members, rebuild: Any, crossed: Sequence[Sequence[Record]]) -> tuple[Any, Any, Any]:
    """What each cross-validation predicts for samples that its models were not trained on.

    Args:
        study: whose.
        rebuild: knows the data of a trial.
        crossed: the trials of each, of all folds.

    Returns:
        The outputs, with the axes cross-validation, sample, and those of the output; the targets and the
        weights of these samples, or None. Samples that no fold validates on are left out; where several folds
        validate on one, it has the mean of their predictions.

    Raises:
        StudyError: the study's data are not known, or differ between trials.
    """
    if not hasattr(rebuild, "held_out"):
        raise StudyError(
            "a study that was opened from a store does not know its data; call compare with the same "
            "arguments again, which trains nothing twice"
        )
    whole = [rebuild.whole(records[0].trial) for records in crossed]
    if any(one["x"] is not whole[0]["x"] for one in whole):
        raise StudyError("on='oof' needs one set of samples for all trials, and data= makes several")
    folds = range(len(crossed[0]))
    parts, rows = [], []
    for fold in folds:
        x, samples = rebuild.held_out(crossed[0][fold].trial)
        parts.append(study.predict(x, trials=[records[fold].trial for records in crossed]))
        rows.append(samples)
    numbers, places = np.unique(np.concatenate(rows), return_inverse=True)
    outputs = keras.tree.map_structure(lambda *some: _mean_of(np.concatenate(some, axis=1), places), *parts)
    y, weights = (rebuild.samples(crossed[0][0].trial, name, numbers) for name in ("y", "sample_weight"))
    return outputs, y, weights


def _mean_of(predicted: Any, places: Any) -> Any:
    """The mean of what is predicted for each sample: several folds may validate on one, as repeated ones do.

    Args:
        predicted: shape ``(cross-validation, prediction, ...)``.
        places: which of the samples each prediction is of.
    """
    count = np.bincount(places)
    shape = (predicted.shape[0], len(count), *predicted.shape[2:])
    whole: Any = np.zeros(shape, "float64")
    np.add.at(whole.swapaxes(0, 1), places, predicted.swapaxes(0, 1))
    return (whole / count.reshape(1, -1, *(1 for _ in shape[2:]))).astype(predicted.dtype)
