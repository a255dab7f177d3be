"""A trial's model, built again: to be given its trained weights.

In: a trial, and where its study is kept. Out: the model as it was before its first epoch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import GeneratorType
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from fairlane.engines.data.folds import samples_of
from fairlane.errors import BuilderError, StudyError
from fairlane.models import keras_private
from fairlane.models.copies import copy
from fairlane.models.initial_values import Drawing, drew_seeds_alone
from fairlane.models.recipes.description import model_of
from fairlane.models.recipes.individual import is_individual
from fairlane.models.session import Session, left_as_found
from fairlane.models.sharing import Held
from fairlane.models.streams import generators_now
from fairlane.running.data import Data
from fairlane.running.fit_arguments import FIT_ARGUMENTS
from fairlane.running.models import Models
from fairlane.store import Records
from fairlane.trials import Trial, Variant, Weights


class Rebuilt:
    """Builds a trial's model again: as this study's builder does, or for others as the store says.

    Args:
        kept: where the study is kept.
        models: its builder.
        common: ``Model.fit``'s arguments that are the same for all.
        data: of its trials.
        trials: those that are its own.
        train: ``compare``, which trains a variant again.
    """

    def __init__(
        self,
        kept: Records,
        models: Models,
        common: Mapping[str, Any],
        data: Data,
        trials: Sequence[Trial],
        train: Callable[..., Any],
    ) -> None:
        self._train = train
        self._kept, self._models, self._common, self._data = kept, models, common, data
        self._own = {id(trial) for trial in trials}
        self._seeds_alone: dict[int, bool] = {}

    @property
    def has_phases(self) -> bool:
        """Whether its trials are trained in several phases."""
        return bool(self._models.phases)

    def add(self, trials: Sequence[Trial]) -> None:
        """Know further trials of this study."""
        self._own |= {id(trial) for trial in trials}

    def __call__(self, trial: Trial, weights: Weights) -> keras.Model:
        """The trial's model, as it was before its first epoch, to be given its weights."""
        if id(trial) in self._own:
            return self._apart(trial, weights.phase)
        return model_of(self._kept.description(trial) or "null", weights=weights)

    def builds_alike(self, trial: Trial) -> bool:
        """Whether the models of the trial's variant, as far as they were built, differ in what seeds draw."""
        if self._models.sees_folds:  # a builder may give another fold another model
            return False
        if id(trial) not in self._own:
            return not is_individual(self._kept.description(trial))
        return self._seeds_alone.get(trial.variant.number, False)

    def data_key(self, trial: Trial) -> str:
        """What a trial's data are known by, its fold included."""
        return self._data.key(trial)

    def whole(self, trial: Trial) -> Mapping[str, Any]:
        """``Model.fit``'s data arguments of a trial, of all samples."""
        return self._data.whole(trial)

    def samples(self, trial: Trial, name: str, rows: NDArray[Any]) -> Any:
        """Some samples of a trial's data.

        Args:
            trial: of this study.
            name: of the argument: ``"x"``, ``"y"`` or ``"sample_weight"``.
            rows: their numbers.
        """
        return samples_of(self._data.whole(trial).get(name), rows)

    def held_out(self, trial: Trial) -> tuple[Any, NDArray[np.int32]]:
        """The inputs that a trial is validated on, of a study with folds; and their numbers.

        Args:
            trial: of this study.
        """
        fold = self._data.fold(trial)
        assert fold is not None
        self._data.check_unchanged(trial)
        return samples_of(self._data.whole(trial)["x"], fold.validation), fold.validation

    def parameters(self, trial: Trial) -> int | None:
        """How many parameters of a trial's model are trained; None where its builder raises.

        Args:
            trial: of this study.
        """
        try:
            with left_as_found():
                model, _ = _rebuilt(self._models, self._common, self._data, trial)
        except Exception:
            return None  # the trial itself fails of it, and says so
        return sum(int(math.prod(variable.shape)) for variable in model.trainable_variables)

    def refit(self, variant: Variant, x: Any, y: Any, given: Mapping[str, Any]) -> Any:
        """A study of one variant, trained again on other data, otherwise as it was.

        Args:
            variant: which.
            x: all inputs.
            y: all targets.
            given: arguments of ``compare`` that replace those of this study.

        Raises:
            StudyError: the samples had weights, and these have none; or as ``compare``.
        """
        before = {name: value for name, value in self._common.items() if name not in ("x", "y")}
        weights = [before, variant.fit_arguments]
        if "sample_weight" not in given and any(one.get("sample_weight") is not None for one in weights):
            raise StudyError(
                "the study was trained with sample_weight, which are weights of its own samples; give "
                "sample_weight= for the new ones, or sample_weight=None"
            )
        # The new samples are those to train on; what made the study's own data is not needed for them.
        held_out = {name for name in FIT_ARGUMENTS if name.startswith("validation_")}
        replaced = {*given, *held_out, "sample_weight"}
        kept = {name: value for name, value in before.items() if name not in replaced}
        own = {
            name: value
            for name, value in variant.hyperparameters.items()
            if name not in replaced
            and (name not in variant.fit_arguments or (name in FIT_ARGUMENTS and name not in held_out))
        }
        phases = {"then": self._models.phases.listed}
        return self._train(self._models.given, [own], x, y, **(phases | kept | dict(given)))

    def _apart(self, trial: Trial, phase: int) -> keras.Model:
        """It shares nothing, or nothing that giving it the trained weights would change."""
        model, alike = _rebuilt(self._models, self._common, self._data, trial, phase)
        shared = self._models.known.shared_by(model)
        number = trial.variant.number
        self._seeds_alone[number] = alike and not shared and self._seeds_alone.get(number, True)
        if not shared:
            return model
        try:
            return copy(model)
        except BuilderError as why:
            weights = self._kept.weights(trial)
            changed = weights and Held(shared, str(trial)).differing(model, weights.state)
            if not changed:
                return model
            raise StudyError(
                f"the model of {trial} can't be built again: it shares {changed[0]!r} with your program, and "
                "the value has changed since the trial was trained. Restoring the old value would change "
                f"your program. A copy of the model can't be made either: {why}"
            ) from why


def _rebuilt(
    models: Models, common: Mapping[str, Any], data: Data, trial: Trial, phase: int = 0
) -> tuple[keras.Model, bool]:
    """A trial's model, built as it was before its first epoch; and whether seeds alone were drawn for it.

    Then it is changed as it was for a phase of its training, from 1.
    """
    parts, example = data.parts(trial), data.batch(trial)
    session = Session(trial.seed)

    def build_variables() -> None:
        if parts is not None:
            parts.build(model)
        elif example is not None:  # of data that are freed
            keras_private.symbolic_build_from(model, example)
        else:
            keras_private.symbolic_build(model, _one_batch(data.whole(trial)["x"]))

    with session, Drawing() as drawing:
        model = models.build(trial, to_train=False)
        looks, (_, numpy_after) = drawing.looks, generators_now()
        build_variables()
        python_after, _ = generators_now()
        for number in range(1, phase + 1):
            models.change(trial, model, number, to_train=False)
            build_variables()
    alike = trial.seed is not None and drew_seeds_alone(drawing, looks, trial.seed, numpy_after, python_after)
    return model, alike and not phase and not session.has_drawn_globally


def _one_batch(x: Any) -> Any:
    """Keras's iterator over data that are not arrays."""
    try:
        return keras_private.epoch_iterator(x, steps_per_epoch=1)
    except ValueError as error:
        if not isinstance(x, GeneratorType):
            raise
        raise StudyError(
            "the model can't be built again, because x is a generator that was read to its end; give a "
            "keras.utils.PyDataset, or keep the model with a keras.callbacks.ModelCheckpoint"
        ) from error
