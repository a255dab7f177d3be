"""Trials → jobs: what an engine needs to run each, and how its model is built again afterwards.

In: planned trials, the builder or template, ``Model.fit``'s arguments. Out: a `Job` per trial; and functions
that build a trial's model anew, to be given its trained weights.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from types import GeneratorType
from typing import Any

import keras
import numpy as np
import pandas as pd

from fairlane.engines.contract import Job, Pace
from fairlane.engines.data.fit_data import DATA_ARGUMENTS, Batches, FitData
from fairlane.engines.lanes.memory import room_for_data
from fairlane.errors import BuilderError, StudyError
from fairlane.models import keras_private
from fairlane.models.copies import copy
from fairlane.models.description import description, model_of
from fairlane.models.session import Session
from fairlane.models.sharing import Held
from fairlane.running.callbacks import Callbacks
from fairlane.running.data_checks import data_reason
from fairlane.running.evaluation import unfit_data
from fairlane.running.models import Models
from fairlane.store import Records, Store
from fairlane.trials import Trial, Variant, Weights


def jobs_of(
    trials: Sequence[Trial],
    build: Callable[[Trial], keras.Model],
    common: Mapping[str, Any],
    makers: Callbacks,
    data: Data,
    builder: Any,
    shared: Callable[[keras.Model], list[Any]],
    kept: Store,
    pace: Pace | None,
) -> list[Job]:
    """A job for each of these trials.

    Args:
        trials: those to be run.
        build: gives a trial's model.
        common: ``Model.fit``'s arguments that are the same for all.
        makers: gives each its callbacks.
        data: their data.
        builder: of models, in a process of another backend.
        shared: a model's variables that other trials' models have too.
        kept: where checkpoints are.
        pace: how often they are taken, or None.
    """
    varying, alike = _varying_names(trials), Counter(map(_likeness, trials))
    held = frozenset() if pace is None else makers.shared()
    return [
        Job(
            trial,
            partial(build, trial),
            arguments_of(common, trial),
            makers.of(trial),
            partial(Session, trial.seed),
            varying=_varying(trial, varying),
            alike=alike[_likeness(trial)],
            reason=data.reason(trial.variant),
            data=data.parts(trial.variant),
            builder=builder,
            shared=shared,
            resume=None if pace is None else partial(kept.checkpoint, trial),
            pace=pace,
            held_by_others=held,
        )
        for trial in trials
    ]


def job_in_place(
    trial: Trial,
    model: keras.Model,
    common: Mapping[str, Any],
    makers: Callbacks,
    session: Session,
    alike: int,
    data: Data,
    shared: Callable[[keras.Model], list[Any]],
) -> Job:
    """The job of a model of the caller's own, which is left trained."""
    return Job(
        trial,
        lambda: model,
        common,
        makers.of(trial),
        lambda: session,
        in_place=True,
        alike=alike,
        reason=data.reason(trial.variant),
        data=data.parts(trial.variant),
        shared=shared,
    )


def pace_of(checkpoint_every: Any) -> Pace | None:
    """How often checkpoints are taken.

    Raises:
        StudyError: it is neither a number of epochs nor a time.
    """
    if checkpoint_every is None:
        return None
    whole = isinstance(checkpoint_every, (int, np.integer)) and not isinstance(checkpoint_every, bool)
    if whole and checkpoint_every >= 1:
        return Pace(epochs=int(checkpoint_every))
    try:
        if isinstance(checkpoint_every, (str, timedelta)):
            seconds = pd.Timedelta(checkpoint_every).total_seconds()
            if seconds >= 0:
                return Pace(seconds=seconds)
    except ValueError:
        pass
    raise StudyError(
        "checkpoint_every is a number of epochs, 1 or more, or a time such as '60s' or '5min', or None for "
        f"never; not {checkpoint_every!r}"
    )


# --- data -----------------------------------------------------------------------------------------------


class Data:
    """The data of each variant, taken apart once for all trials that share them.

    Args:
        common: ``Model.fit``'s arguments that are the same for all.
        variants: one for each trial.
        engine: as for `compare`.

    Raises:
        StudyError: they can't be trained on.
    """

    def __init__(self, common: Mapping[str, Any], variants: Sequence[Variant], engine: str) -> None:
        self._common = common
        self._session = _session_reason()
        self._known: dict[Any, tuple[FitData | None, str]] = {}
        on_lanes = engine != "reference" and not self._session
        for variant in variants:
            key, chosen = self._chosen(variant)
            if key not in self._known:
                elsewhere = _elsewhere_reason(chosen) if on_lanes else ""
                here = on_lanes and not elsewhere
                reason = data_reason(chosen.get("x"), chosen, len(variants), here) or elsewhere
                self._known[key] = self._taken_apart(chosen, here) if not reason else None, reason

    def reason(self, variant: Variant) -> str:
        """Why a variant can't run on lanes, as far as session and data tell; empty where it can."""
        return self._session or self._known[self._chosen(variant)[0]][1]

    def parts(self, variant: Variant) -> FitData | None:
        """A variant's data; None where they can't be taken apart for lanes."""
        return self._known[self._chosen(variant)[0]][0]

    def batch(self, variant: Variant) -> Any:
        """A batch of a variant's, or tensors of its shapes and dtypes; None where it is not known."""
        parts = self.parts(variant)
        if parts is None:
            return None
        try:
            return _one_shape(parts.training) if isinstance(parts.training, Batches) else parts.first
        except Exception:  # data of a kind without a dtype of Keras's; the model's own inputs have to do
            return None

    def _chosen(self, variant: Variant) -> tuple[Any, dict[str, Any]]:
        given = {**self._common, **variant.fit_arguments}
        chosen = {name: given[name] for name in DATA_ARGUMENTS if name in given}
        own = variant.fit_arguments  # all else is one object for all variants
        key = ((name, _likeness_of(value) if name in own else id(value)) for name, value in chosen.items())
        return tuple(key), chosen

    def _taken_apart(self, chosen: Mapping[str, Any], on_lanes: bool) -> FitData | None:
        generators = {id(v) for v in chosen.values() if isinstance(v, GeneratorType)}
        if generators and not on_lanes:
            return None  # taking it apart would read its first batches
        for parts, _ in self._known.values():
            if generators and parts is not None and parts.once:
                raise StudyError(
                    "the data have a generator, which can be read once, and the variants read it in "
                    "different ways; leave steps_per_epoch and the like the same, or give a "
                    "keras.utils.PyDataset"
                )
        room = room_for_data() if on_lanes and on_jax() else math.inf
        try:
            return FitData.of(chosen, room)
        except _OF_KERAS as error:
            raise unfit_data(chosen, error, _wrong_part(chosen, room)) from error


_OF_KERAS = (ValueError, TypeError, IndexError)
"""What Keras raises for data that it does not take."""


def _wrong_part(chosen: Mapping[str, Any], room: float) -> str:
    """Which of the data Keras does not take: those to validate on, if it takes the others alone."""
    if chosen.get("validation_data") is None:
        return ""
    try:
        FitData.of({name: value for name, value in chosen.items() if name != "validation_data"}, room)
    except _OF_KERAS:
        return ""
    return "validation_data"


def _likeness_of(value: Any) -> Any:
    """Equal for values that are one for `Data`: numbers and texts that are equal, the same arrays."""
    if isinstance(value, np.generic | np.ndarray) and value.ndim == 0:
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return type(value), repr(value)
    if type(value) in (list, tuple):
        return type(value), tuple(map(_likeness_of, value))
    if type(value) is dict:
        return dict, tuple((_likeness_of(key), _likeness_of(item)) for key, item in value.items())
    return id(value)


def _session_reason() -> str:
    """Why no trial of this session can run on lanes; empty where they can."""
    if keras_private.has_tensorflow_strategy():
        return "a tf.distribute strategy is set, and lanes place arrays themselves"
    if keras.distribution.distribution() is not None:
        return "a keras.distribution is set, and lanes place arrays themselves"
    return ""


def _elsewhere_reason(arguments: Mapping[str, Any]) -> str:
    """Why data can't go to the worker process; empty where they can, or need not."""
    if on_jax():
        return ""
    from fairlane.engines.workers import engine as workers

    return workers.data_reason(arguments)


def on_jax() -> bool:
    """Whether Keras runs on JAX in this session."""
    return bool(keras.backend.backend() == "jax")


# --- models, to be built again --------------------------------------------------------------------------


class Describing:
    """Builds models, and tells the store how the first one of each variant is built."""

    def __init__(self, models: Models, kept: Store, data: Data) -> None:
        self._models, self._kept, self._data = models, kept, data
        self._told: set[int] = set()

    def build(self, trial: Trial) -> keras.Model:
        """The trial's model."""
        model = self._models.build(trial)
        if trial.variant.number not in self._told:
            self._told.add(trial.variant.number)
            self._kept.describe(trial, description(model, self._data.batch(trial.variant)))
        return model


def _one_shape(training: Batches) -> Any:
    size = min(training.samples, int(training.adapter.batch_size))

    def like(array: Any) -> Any:
        dtype = keras.backend.standardize_dtype(array.dtype)
        return keras.KerasTensor((size, *array.shape[1:]), dtype)

    return keras.tree.map_structure(like, training.arrays)


class Rebuilt:
    """Builds a trial's model again: as this study's builder does, or for others as the store says."""

    def __init__(
        self,
        kept: Records,
        models: Models,
        common: Mapping[str, Any],
        data: Data,
        trials: Sequence[Trial],
    ) -> None:
        self._kept, self._models, self._common, self._data = kept, models, common, data
        self._own = {id(trial) for trial in trials}

    def __call__(self, trial: Trial, weights: Weights) -> keras.Model:
        """The trial's model, as it was before its first epoch, to be given its weights."""
        if id(trial) in self._own:
            return self._apart(trial)
        return model_of(self._kept.description(trial) or "null", weights=weights)

    def _apart(self, trial: Trial) -> keras.Model:
        """It shares nothing, or nothing that giving it the trained weights would change."""
        model = _rebuilt(self._models, self._common, self._data, trial)
        shared = self._models.known.shared_by(model)
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
                f"the model of {trial} can't be built again: it shares {changed[0]!r} with this program, "
                "which has another value now than when the trial was trained, and giving it the old one "
                "would change yours. "
                f"A copy of the model can't be made either: {why}"
            ) from why


def _rebuilt(models: Models, common: Mapping[str, Any], data: Data, trial: Trial) -> keras.Model:
    """A trial's model, built as it was before its first epoch."""
    parts = data.parts(trial.variant)
    with Session(trial.seed):
        model = models.build(trial, to_train=False)
        if parts is None:
            keras_private.symbolic_build(model, _one_batch(common["x"]))
        elif parts.first is not None:
            keras_private.symbolic_build_from(model, parts.first)
        else:
            keras_private.symbolic_build(model, parts.training.iterator(int(model.steps_per_execution)))
    return model


def _one_batch(x: Any) -> Any:
    """Keras's iterator over data that are not arrays."""
    try:
        return keras_private.epoch_iterator(x, steps_per_epoch=1)
    except ValueError as error:
        if not isinstance(x, GeneratorType):
            raise
        raise StudyError(
            "the model can't be built anew, because x is a generator and used up; give a "
            "keras.utils.PyDataset, or keep the model with a keras.callbacks.ModelCheckpoint"
        ) from error


# --- small parts ----------------------------------------------------------------------------------------


def _varying_names(trials: Sequence[Trial]) -> set[str]:
    """The hyperparameters that are not the same in all trials."""
    seen: dict[str, set[str]] = {}
    for trial in trials:
        for name, value in trial.hyperparameters.items():
            seen.setdefault(name, set()).add(repr(value))
    return {name for name, values in seen.items() if len(values) > 1}


def _varying(trial: Trial, names: set[str]) -> tuple[float, ...]:
    """The numbers among a trial's hyperparameters that another trial has otherwise."""
    values = (value for name, value in trial.hyperparameters.items() if name in names)
    return tuple(v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool))


def _likeness(trial: Trial) -> Any:
    """What trials must have in common to share a program, as far as hyperparameters show it."""
    return tuple(
        (name, repr(value))
        for name, value in trial.hyperparameters.items()
        if not isinstance(value, float) and name != "epochs"
    )


def arguments_of(common: Mapping[str, Any], trial: Trial) -> dict[str, Any]:
    """``Model.fit``'s arguments for a trial."""
    return {**common, **trial.variant.fit_arguments}


def epochs_of(arguments: Mapping[str, Any]) -> int:
    """How many epochs ``Model.fit`` trains with these arguments."""
    return max(0, int(arguments.get("epochs", 1)) - int(arguments.get("initial_epoch") or 0))
