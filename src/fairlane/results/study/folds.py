"""What the models of folds predict for the samples that they were not trained on.

In: the trained weights of a study with folds, and its data. Out: `Folded`, the part of a `Study` that gives
out-of-fold predictions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fairlane.errors import StudyError
from fairlane.kit import arguments
from fairlane.results.study.members import Chosen, Members, OneVariant
from fairlane.trials import Trial

_FIXED = ("trial", "fold", "sample")


class Folded(Members):
    """The folds of a study."""

    @arguments.checked
    def oof(self, trials: Chosen = None, variant: OneVariant = None) -> pd.DataFrame:
        """Out-of-fold predictions: what each model predicts for the samples that its fold validates on.

        Each fold's models were not trained on these samples, so a combination of models may be chosen by
        them. With `EarlyStopping` they chose the epoch, which makes predictions look a little better.

        Args:
            trials: the trials or their numbers; by default all that are done.
            variant: only trials of this variant: its number, or hyperparameters that only it has, as a dict.

        Returns:
            A data frame with a row per trial and validation sample: ``trial``, ``fold``, ``sample`` (its row
            in ``x``), and a column per output: ``prediction`` for one number, ``prediction_0``,
            ``prediction_1``, ... for several, ``<output>`` and ``<output>_0``, ... where the model has
            several outputs.

        Raises:
            StudyError: the study has no folds, or was opened from a store, where its data are not known; or
                as `predict`.

        Example:
            >>> folded = fl.compare(build, {"learning_rate": [0.1]}, x, y, cv=2, verbose=0)
            >>> folded.oof()[["trial", "fold", "sample"]].head(3)
               trial  fold  sample
            0      0     0       0
            1      0     0       1
            2      0     0       2
        """
        records = self._chosen(trials, variant)
        if any(record.trial.fold is None for record in records):
            raise StudyError(
                "the study has no folds; give compare(..., cv=5), or predict with study.predict(x)"
            )
        rebuild: Any = self._rebuild
        if not hasattr(rebuild, "held_out"):
            raise StudyError(
                "a study that was opened from a store does not know its data, so nothing can be predicted "
                "for them; call compare with the same arguments again, which trains nothing twice"
            )
        alike: dict[str, list[Trial]] = {}
        for record in records:
            alike.setdefault(rebuild.data_key(record.trial), []).append(record.trial)
        parts: dict[int, pd.DataFrame] = {}
        for some in alike.values():
            x, samples = rebuild.held_out(some[0])
            found = self.predict(x, trials=some)
            for i, trial in enumerate(some):
                parts[trial.number] = _frame(trial.number, int(trial.fold or 0), samples, found, i)
        return pd.concat([parts[record.trial.number] for record in records], ignore_index=True)


def _frame(trial: int, fold: int, samples: Any, found: Any, place: int) -> pd.DataFrame:
    columns: dict[str, Any] = {"trial": trial, "fold": fold, "sample": samples}
    for name, values in _named(found).items():
        rows = np.asarray(values[place]).reshape(len(samples), -1)
        several = rows.shape[1] > 1
        for i in range(rows.shape[1]):
            columns[f"{name}_{i}" if several else name] = rows[:, i]
    return pd.DataFrame(columns)


def _named(outputs: Any) -> Mapping[str, Any]:
    """Outputs by the names of their columns."""
    if isinstance(outputs, Mapping):
        return {f"{name}_" if name in _FIXED else str(name): values for name, values in outputs.items()}
    if isinstance(outputs, list | tuple):
        return {f"output_{i}": values for i, values in enumerate(outputs)}
    return {"prediction": outputs}
