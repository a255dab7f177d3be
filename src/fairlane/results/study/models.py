"""The trained models of a study.

In: the trained weights in a study's store. Out: `Models`, the part of a `Study` that gives them back as
``keras.Model``.
"""

from __future__ import annotations

import os
import warnings

import keras

from fairlane.errors import FairlaneWarning, StudyError
from fairlane.kit import arguments
from fairlane.kit.text import plural
from fairlane.models.copies import remember_learning_rate, rename
from fairlane.models.recipes.description import write_weights
from fairlane.results.study.base import CALLER, Base
from fairlane.store import Record, next_epoch
from fairlane.trials import Trial, TrialState, Weights


class Models(Base):
    """The trained models of a study."""

    @arguments.checked
    def model(self, trial: Trial | int) -> keras.Model:
        """A trial's trained, compiled model. Each call builds a new one, which shares nothing with others.

        Its name is the name from the builder with the trial's number, such as ``sequential_trial_0``. From
        the second call on, another number follows, so that models of studies can be parts of one Keras model.

        For an interrupted trial, it is the model after the last finished epoch.

        Args:
            trial: the trial, or its number.

        Returns:
            The model, with its trained weights and its optimizer's state.

        Raises:
            StudyError: there is no such trial, or it has no trained state.

        Example:
            >>> model = study.model(study.best("loss"))
            >>> model.predict(x, verbose=0).shape
            (8, 1)
        """
        record = self._record(trial)
        weights = self._store.weights(record.trial) or self._cut_off(record)
        model = self._rebuild(record.trial, weights)
        # The built learning rate: the weights that are written next may have another, from a callback.
        remember_learning_rate(model)
        write_weights(model, weights, str(record.trial))
        rename(model, f"trial_{record.trial.number}")
        return model

    def _cut_off(self, record: Record) -> Weights:
        """The newest weights of a trial that was not trained to its end."""
        stopped = record.state in (TrialState.RUNNING, TrialState.INTERRUPTED)
        found = self._store.cut_off(record.trial) if stopped else None
        if found is None:
            why = f": {record.error}" if record.error else ""
            stored = "no weights of its epochs are stored"
            which = stored if stopped and record.epochs else "it has no trained weights"
            raise StudyError(f"{record.trial} is {record.state}{why}; {which}, so there is no model of it")
        if found.epoch < next_epoch(record):
            warnings.warn(
                f"{record.trial} has finished {plural(next_epoch(record), 'epoch')}, but the newest stored "
                f"weights are those after {plural(found.epoch, 'epoch')}; the model has these",
                FairlaneWarning,
                stacklevel=CALLER + 1,
            )
        return found.weights

    @arguments.checked
    def save(self, trial: Trial | int, path: str | os.PathLike[str]) -> None:
        """Write a trial's trained, compiled model to a file, for ``keras.saving.load_model``.

        Args:
            trial: the trial, or its number.
            path: a name that ends with ``.keras``.

        Raises:
            StudyError: as for `model`; or the name has another ending.

        Example:
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = os.path.join(folder, "trial0.keras")
            ...     study.save(0, path)
            ...     keras.saving.load_model(path).count_params()
            3
        """
        file = arguments.path("path", path, "model.keras")
        if not file.name.endswith(".keras"):
            raise StudyError(f"path: the name of a model's file must end with .keras, not {str(path)!r}")
        if not file.parent.is_dir():
            raise StudyError(f"path: the folder {file.parent} does not exist")
        self.model(trial).save(file)
