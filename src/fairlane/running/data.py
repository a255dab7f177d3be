"""The data of each trial, taken apart once for all trials that share them, and registered by a key.

In: ``Model.fit``'s arguments, and the trials, whose variants may change some of them, or whose data a
function makes. Out: `TrainingData` by their keys; why a trial can't run on lanes, as far as its data show; or
an error, before anything is trained.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import GeneratorType
from typing import Any

from fairlane.engines.data.fit_data import DATA_ARGUMENTS, FitData
from fairlane.engines.data.folds import Fold, FoldArguments, folded
from fairlane.engines.eligibility import arrays_reason, session_reason
from fairlane.engines.lanes.memory import room_for_data
from fairlane.engines.resources import TrainingData
from fairlane.errors import StudyError
from fairlane.kit.checksums import checksum
from fairlane.running.choosing import on_jax
from fairlane.running.data_checks import data_reason
from fairlane.running.evaluation import unfit_data
from fairlane.running.made import MadeData, likeness_of
from fairlane.trials import Trial

_KEPT = ("x", "y", "sample_weight")
"""The data arguments that are read again after the training, where there are folds."""

Cut = Callable[[Mapping[str, Any]], Sequence[Fold]]
"""Data arguments → their folds."""


class Data:
    """The data of each trial, taken apart once for all trials that share them.

    Attributes:
        by_key: what is registered.

    Args:
        common: ``Model.fit``'s arguments that are the same for all.
        trials: those that are known.
        engine: as for `compare`.
        cut: gives the folds of some data; None where all trials have all samples.
        made: makes the data of a trial; None where they are among the arguments.

    Raises:
        StudyError: they can't be trained on.
    """

    def __init__(
        self,
        common: Mapping[str, Any],
        trials: Sequence[Trial],
        engine: str,
        cut: Cut | None = None,
        made: MadeData | None = None,
    ) -> None:
        self._common, self._engine, self._cut, self._made = common, engine, cut, made
        self._session = session_reason()
        self._keys: dict[Any, str] = {}
        self._reasons: dict[str, str] = {}
        self._folds: dict[str, Sequence[Fold]] = {}
        self._checksums: dict[str, int] = {}
        self._whole: dict[str, Mapping[str, Any]] = {}
        self.by_key: dict[str, TrainingData] = {}
        self.add(trials)

    def add(self, trials: Sequence[Trial]) -> None:
        """Take the data of further trials apart, where they are not those of others.

        Args:
            trials: the trials.

        Raises:
            StudyError: they can't be trained on.
        """
        on_lanes = self._engine != "reference" and not self._session
        counts = Counter(self._chosen(trial)[0] for trial in trials)
        for trial in trials:
            chosen_key, chosen = self._chosen(trial)
            if chosen_key in self._keys:
                continue
            elsewhere = _elsewhere_reason(chosen) if on_lanes else ""
            here = on_lanes and not elsewhere
            reason = data_reason(chosen.get("x"), chosen, len(trials), here) or elsewhere
            key = f"data {len(self._keys)}"
            self._reasons[key], self._whole[key] = reason, chosen
            readers = counts[chosen_key]
            if self._cut is None:
                self.by_key[key] = TrainingData(chosen, self._taken_apart(chosen, here, reason), readers)
            else:
                self._add_folds(key, chosen, here, reason, readers)
            self._keys[chosen_key] = key

    def _add_folds(self, key: str, chosen: Mapping[str, Any], here: bool, reason: str, readers: int) -> None:
        assert self._cut is not None
        folds = self._folds[key] = self._cut(chosen)
        self._checksums[key] = checksum([chosen.get(name) for name in _KEPT])
        expected = len(next(iter(self._folds.values())))
        if len(folds) != expected:
            raise StudyError(
                f"cv cuts the data of one variant into {expected} folds, and those of another into "
                f"{len(folds)}; give a number of folds, which is the same for all"
            )
        for fold, parts in zip(folds, self._of_folds(chosen, folds, here, reason), strict=True):
            # A process that lanes run in gets a fold's samples once, as one object.
            arguments = FoldArguments(chosen, fold, keeps=not on_jax())
            self.by_key[_of_fold(key, fold.number)] = TrainingData(arguments, parts, readers)

    @property
    def common(self) -> Mapping[str, Any]:
        """``Model.fit``'s arguments that are the same for all."""
        return self._common

    def reason(self, trial: Trial) -> str:
        """Why a trial can't run on lanes, as far as session and data show; empty where it can."""
        return self._session or self._reasons[self._whole_key(trial)]

    def key(self, trial: Trial) -> str:
        """The key of a trial's data."""
        key = self._whole_key(trial)
        return key if trial.fold is None else _of_fold(key, trial.fold)

    def parts(self, trial: Trial) -> FitData | None:
        """A trial's data; None where they can't be taken apart for lanes."""
        return self.by_key[self.key(trial)].parts

    def batch(self, trial: Trial) -> Any:
        """A batch of a trial's, or tensors of its shapes and dtypes; None where it is not known."""
        parts = self.parts(trial)
        return None if parts is None else parts.example()

    def whole(self, trial: Trial) -> Mapping[str, Any]:
        """``Model.fit``'s data arguments of a trial, of all samples: its fold is not cut out."""
        return self._whole[self._whole_key(trial)]

    def check_unchanged(self, trial: Trial) -> None:
        """See that the samples of a trial with a fold are those that it was trained on.

        Raises:
            StudyError: they have been written over since.
        """
        key = self._whole_key(trial)
        if checksum([self._whole[key].get(name) for name in _KEPT]) != self._checksums[key]:
            raise StudyError(
                "x, y or sample_weight has changed since the study was trained, so predictions for the "
                "held-out samples would be for other samples. Give compare a copy, x.copy(), where you go "
                "on to change x"
            )

    def fold(self, trial: Trial) -> Fold | None:
        """The samples of a trial's fold; None where it has all samples."""
        return None if trial.fold is None else self._folds[self._whole_key(trial)][trial.fold]

    def _whole_key(self, trial: Trial) -> str:
        return self._keys[self._chosen(trial)[0]]

    def _chosen(self, trial: Trial) -> tuple[Any, dict[str, Any]]:
        own = trial.variant.fit_arguments  # all else is one object for all trials
        made_key, made = ((), {}) if self._made is None else self._made.of(trial)
        given = {**self._common, **own, **made}
        chosen = {name: given[name] for name in DATA_ARGUMENTS if name in given}
        key = (
            (name, likeness_of(value) if name in own else id(value))
            for name, value in chosen.items()
            if name not in made
        )
        return (made_key, *key), chosen

    def _of_folds(
        self, chosen: Mapping[str, Any], folds: Sequence[Fold], on_lanes: bool, reason: str
    ) -> Sequence[FitData | None]:
        if reason:
            return [None] * len(folds)
        try:
            return folded(chosen, folds, _room(on_lanes))
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


def _elsewhere_reason(arguments: Mapping[str, Any]) -> str:
    """Why data can't go to the worker process; empty where they can, or need not."""
    if on_jax():
        return ""
    return arrays_reason(arguments)
