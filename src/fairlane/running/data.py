"""The data of each variant, taken apart once for all trials that share them, and registered by a key.

In: ``Model.fit``'s arguments, and the variants, which may change some of them. Out: `TrainingData` by their
keys; why a variant can't run on lanes, as far as its data show; or an error, before anything is trained.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from types import GeneratorType
from typing import Any

import numpy as np

from fairlane.engines.data.fit_data import DATA_ARGUMENTS, FitData
from fairlane.engines.data.folds import Fold, FoldArguments, folded
from fairlane.engines.eligibility import arrays_reason, session_reason
from fairlane.engines.lanes.memory import room_for_data
from fairlane.engines.resources import TrainingData
from fairlane.errors import StudyError
from fairlane.running.choosing import on_jax
from fairlane.running.data_checks import data_reason
from fairlane.running.evaluation import unfit_data
from fairlane.trials import Variant


class Data:
    """The data of each variant, taken apart once for all trials that share them.

    Attributes:
        by_key: what is registered.

    Args:
        common: ``Model.fit``'s arguments that are the same for all.
        variants: one for each trial.
        engine: as for `compare`.
        folds: the folds of the samples; none where all trials have all samples.

    Raises:
        StudyError: they can't be trained on.
    """

    def __init__(
        self,
        common: Mapping[str, Any],
        variants: Sequence[Variant],
        engine: str,
        folds: Sequence[Fold] = (),
    ) -> None:
        self._common, self._engine, self._folds = common, engine, folds
        self._session = session_reason()
        self._keys: dict[Any, str] = {}
        self._reasons: dict[str, str] = {}
        self.by_key: dict[str, TrainingData] = {}
        self.add(variants)

    def add(self, variants: Sequence[Variant]) -> None:
        """Take the data of further variants apart, where they are not those of others.

        Args:
            variants: one for each trial.

        Raises:
            StudyError: they can't be trained on.
        """
        on_lanes = self._engine != "reference" and not self._session
        counts = Counter(self._chosen(variant)[0] for variant in variants)
        for variant in variants:
            chosen_key, chosen = self._chosen(variant)
            if chosen_key in self._keys:
                continue
            elsewhere = _elsewhere_reason(chosen) if on_lanes else ""
            here = on_lanes and not elsewhere
            reason = data_reason(chosen.get("x"), chosen, len(variants), here) or elsewhere
            key = self._keys[chosen_key] = f"data {len(self._keys)}"
            self._reasons[key] = reason
            readers = counts[chosen_key]
            if not self._folds:
                self.by_key[key] = TrainingData(chosen, self._taken_apart(chosen, here, reason), readers)
                continue
            for fold, parts in zip(self._folds, self._of_folds(chosen, here, reason), strict=True):
                # A process that lanes run in gets a fold's samples once, as one object.
                arguments = FoldArguments(chosen, fold, keeps=not on_jax())
                self.by_key[_of_fold(key, fold.number)] = TrainingData(arguments, parts, readers)

    @property
    def common(self) -> Mapping[str, Any]:
        """``Model.fit``'s arguments that are the same for all."""
        return self._common

    def reason(self, variant: Variant) -> str:
        """Why a variant can't run on lanes, as far as session and data show; empty where it can."""
        return self._session or self._reasons[self._keys[self._chosen(variant)[0]]]

    def key(self, variant: Variant, fold: int | None = None) -> str:
        """The key of a variant's data.

        Args:
            variant: the variant.
            fold: the number of its fold; None where there are none.
        """
        key = self._keys[self._chosen(variant)[0]]
        return key if fold is None else _of_fold(key, fold)

    def fold(self, number: int) -> Fold | None:
        """The samples of a fold; None where there are no folds."""
        return self._folds[number] if self._folds else None

    def parts(self, variant: Variant, fold: int | None = None) -> FitData | None:
        """A variant's data, as for `key`; None where they can't be taken apart for lanes."""
        return self.by_key[self.key(variant, fold)].parts

    def batch(self, variant: Variant, fold: int | None = None) -> Any:
        """A batch of a variant's, or tensors of its shapes and dtypes; None where it is not known."""
        parts = self.parts(variant, fold)
        return None if parts is None else parts.example()

    def _chosen(self, variant: Variant) -> tuple[Any, dict[str, Any]]:
        given = {**self._common, **variant.fit_arguments}
        chosen = {name: given[name] for name in DATA_ARGUMENTS if name in given}
        own = variant.fit_arguments  # all else is one object for all variants
        key = ((name, _likeness_of(value) if name in own else id(value)) for name, value in chosen.items())
        return tuple(key), chosen

    def _of_folds(self, chosen: Mapping[str, Any], on_lanes: bool, reason: str) -> Sequence[FitData | None]:
        if reason:
            return [None] * len(self._folds)
        try:
            return folded(chosen, self._folds, _room(on_lanes))
        except _OF_KERAS as error:
            raise unfit_data(chosen, error) from error

    def _taken_apart(self, chosen: Mapping[str, Any], on_lanes: bool, reason: str) -> FitData | None:
        if reason:
            return None
        generators = {id(v) for v in chosen.values() if isinstance(v, GeneratorType)}
        if generators and not on_lanes:
            return None  # taking it apart would read its first batches
        for known in self.by_key.values():
            if generators and known.parts is not None and known.parts.once:
                raise StudyError(
                    "the data have a generator, which can be read once, and the variants read it in "
                    "different ways; leave steps_per_epoch and the like the same, or give a "
                    "keras.utils.PyDataset"
                )
        room = _room(on_lanes)
        try:
            return FitData.of(chosen, room)
        except _OF_KERAS as error:
            raise unfit_data(chosen, error, _wrong_part(chosen, room)) from error


def _of_fold(key: str, fold: int) -> str:
    return f"{key}, fold {fold}"


def _room(on_lanes: bool) -> float:
    return room_for_data() if on_lanes and on_jax() else math.inf


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


def _elsewhere_reason(arguments: Mapping[str, Any]) -> str:
    """Why data can't go to the worker process; empty where they can, or need not."""
    if on_jax():
        return ""
    return arrays_reason(arguments)
