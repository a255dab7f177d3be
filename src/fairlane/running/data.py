"""The data of each trial, taken apart once for all trials that share them, and registered by a key.

In: ``Model.fit``'s arguments, and the trials, whose variants may change some of them, or whose data a
function makes. Out: `TrainingData` by their keys; why a trial can't run on lanes, as far as its data show; or
an error, before anything is trained.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from types import GeneratorType
from typing import Any, Protocol

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
from fairlane.running.missing import missing_in_arguments
from fairlane.running.unwritten import unwritten
from fairlane.trials import Trial

_KEPT = ("x", "y", "sample_weight")
"""The data arguments that are read again after the training, where there are folds."""


class Cut(Protocol):
    """Data arguments → their folds."""

    def __call__(self, given: Mapping[str, Any]) -> Sequence[Fold]:
        """The folds of some data, the same for the same data."""

    def forget(self, given: Mapping[str, Any]) -> None:
        """Hold some data, and their folds, no longer."""


@dataclass(eq=False)
class _Whole:
    """The data of all samples, of one or several trials.

    Attributes:
        chosen: ``Model.fit``'s data arguments; None where they are freed.
        reason: why lanes can't train on them, or empty.
        checksum: of what is read again after the training, where there are folds.
        folds: their folds.
        examples: fold → a batch like those of training, kept when the data are freed.
        needing: the numbers of the trials that need them, as far as that is known.
        missing: what is said of missing values in them; None where nobody has looked.
    """

    chosen: Mapping[str, Any] | None = None
    reason: str = ""
    checksum: int = 0
    folds: Sequence[Fold] = ()
    examples: dict[int | None, Any] = field(default_factory=dict)
    needing: set[int] = field(default_factory=set)
    missing: str | None = None


class Data:
    """The data of each trial, taken apart once for all trials that share them.

    Data that a function makes are freed when no trial needs them any more, and made again where they are
    looked at later.

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
        self._whole: dict[str, _Whole] = {}
        self._again: tuple[str, Mapping[str, Any]] | None = None
        self._may_return: Callable[[], bool] = _never
        self.by_key: dict[str, TrainingData] = {}
        self.add(trials)

    def add(self, trials: Sequence[Trial]) -> None:
        """Take the data of further trials apart, where they are not those of others.

        Args:
            trials: the trials.

        Raises:
            StudyError: they can't be trained on.
        """
        counts = Counter(self._likeness(trial) for trial in trials)
        for trial in trials:
            likeness = self._likeness(trial)
            key = self._keys.get(likeness, f"data {len(self._keys)}")
            if key in self._whole and self._whole[key].chosen is not None:
                continue
            with self._naming(trial):
                self._take_in(key, self._chosen(trial), len(trials), counts[likeness])
            self._keys[likeness] = key

    def _naming(self, trial: Trial) -> AbstractContextManager[None]:
        """A context in which errors say which data they are about."""
        return nullcontext() if self._made is None else self._made.naming(trial)

    def _take_in(self, key: str, chosen: Mapping[str, Any], trials: int, readers: int) -> None:
        on_lanes = self._engine != "reference" and not self._session
        elsewhere = _elsewhere_reason(chosen) if on_lanes else ""
        here = on_lanes and not elsewhere
        reason = data_reason(chosen.get("x"), chosen, trials, here) or elsewhere
        whole = self._whole.setdefault(key, _Whole())
        whole.chosen, whole.reason = chosen, reason
        if self._cut is None:
            self.by_key[key] = TrainingData(chosen, self._taken_apart(chosen, here, reason), readers)
        else:
            self._add_folds(key, chosen, here, readers)

    def _add_folds(self, key: str, chosen: Mapping[str, Any], here: bool, readers: int) -> None:
        assert self._cut is not None
        whole = self._whole[key]
        folds = whole.folds = whole.folds or self._cut(chosen)
        whole.checksum = checksum([chosen.get(name) for name in _KEPT])
        expected = len(next(iter(self._whole.values())).folds)
        if len(folds) != expected:
            raise StudyError(
                f"cv cuts the data of one variant into {expected} folds, and those of another into "
                f"{len(folds)}; give a number of folds, which is the same for all"
            )
        for fold, parts in zip(folds, self._of_folds(chosen, folds, here, whole.reason), strict=True):
            # A process that lanes run in gets a fold's samples once, as one object.
            arguments = FoldArguments(chosen, fold, keeps=not on_jax())
            self.by_key[_of_fold(key, fold.number)] = TrainingData(arguments, parts, readers)

    # --- who needs them -----------------------------------------------------------------------------

    def need(self, trials: Sequence[Trial]) -> None:
        """Hold the data of some trials until each of them is released, and no others' that are made.

        Args:
            trials: as their store numbers them.
        """
        for trial in trials:
            self._whole[self._whole_key(trial)].needing.add(trial.number)
        self._free_unneeded()

    def release(self, trial: Trial) -> None:
        """A trial has ended: where no other needs its data, and they can be made again, free them."""
        self._whole[self._whole_key(trial)].needing.discard(trial.number)
        self._free_unneeded()

    def hold_while(self, may_return: Callable[[], bool]) -> None:
        """Free nothing as long as trials to come may have data that none needs now.

        Args:
            may_return: says whether they may.
        """
        self._may_return = may_return

    @contextmanager
    def held(self) -> Iterator[None]:
        """A context in which trials are trained: nothing may write to the data, freed at its end."""
        with unwritten(self._common, self._engine):
            try:
                yield
            finally:
                self.close()

    def close(self) -> None:
        """No trial is trained any more."""
        self._may_return = _never
        for whole in self._whole.values():
            whole.needing.clear()
        self._free_unneeded()

    def _free_unneeded(self) -> None:
        if self._made is None or self._may_return():
            return
        held = {
            key: likeness[0] for likeness, key in self._keys.items() if self._whole[key].chosen is not None
        }
        for key in [key for key in held if not self._whole[key].needing]:
            whole, made = self._whole[key], held.pop(key)
            assert whole.chosen is not None
            numbers: list[int | None] = [fold.number for fold in whole.folds]
            for number in numbers or [None]:
                parts = self.by_key.pop(key if number is None else _of_fold(key, number)).parts
                whole.examples[number] = None if parts is None else parts.example()
            if made not in held.values():
                self._made.forget(made)
                if self._cut is not None:
                    self._cut.forget(whole.chosen)
            whole.chosen = None

    # --- what they are ------------------------------------------------------------------------------

    @property
    def made_from(self) -> frozenset[str]:
        """The hyperparameters that the data are made from."""
        return frozenset() if self._made is None else self._made.names

    @property
    def common(self) -> Mapping[str, Any]:
        """``Model.fit``'s arguments that are the same for all."""
        return self._common

    def reason(self, trial: Trial) -> str:
        """Why a trial can't run on lanes, as far as session and data show; empty where it can."""
        return self._session or self._whole[self._whole_key(trial)].reason

    def key(self, trial: Trial) -> str:
        """The key of a trial's data."""
        key = self._whole_key(trial)
        return key if trial.fold is None else _of_fold(key, trial.fold)

    def parts(self, trial: Trial) -> FitData | None:
        """A trial's data; None where they can't be taken apart for lanes, or are freed."""
        found = self.by_key.get(self.key(trial))
        return None if found is None else found.parts

    def batch(self, trial: Trial) -> Any:
        """A batch of a trial's, or tensors of its shapes and dtypes; None where it is not known."""
        parts = self.parts(trial)
        kept = self._whole[self._whole_key(trial)].examples.get(trial.fold)
        return kept if parts is None else parts.example()

    def whole(self, trial: Trial) -> Mapping[str, Any]:
        """``Model.fit``'s data arguments of a trial, of all samples: its fold is not cut out.

        Raises:
            StudyError: they were freed, and can't be made again as they were.
        """
        key = self._whole_key(trial)
        chosen = self._whole[key].chosen
        if chosen is not None:
            return chosen
        if self._again is None or self._again[0] != key:
            self._again = None  # before the next are made
            self._again = key, self._chosen(trial, keep=False)
        return self._again[1]

    def missing(self, trial: Trial) -> str:
        """That values are missing in a trial's data, in words; empty where none is."""
        known = self._whole[self._whole_key(trial)]
        if known.missing is None:
            known.missing = missing_in_arguments(self.whole(trial))
        return known.missing

    def check_unchanged(self, trial: Trial) -> None:
        """See that the samples of a trial with a fold are those that it was trained on.

        Raises:
            StudyError: they have been written over since.
        """
        whole = self.whole(trial)
        if checksum([whole.get(name) for name in _KEPT]) != self._whole[self._whole_key(trial)].checksum:
            raise StudyError(
                "x, y or sample_weight has changed since the study was trained, so predictions for the "
                "held-out samples would be for other samples. Give compare a copy, x.copy(), where you go "
                "on to change x"
            )

    def fold(self, trial: Trial) -> Fold | None:
        """The samples of a trial's fold; None where it has all samples."""
        return None if trial.fold is None else self._whole[self._whole_key(trial)].folds[trial.fold]

    def _whole_key(self, trial: Trial) -> str:
        return self._keys[self._likeness(trial)]

    def _likeness(self, trial: Trial) -> tuple[Any, ...]:
        """Equal for trials of the same data; first what those are known by that are made."""
        own = trial.variant.fit_arguments  # all else is one object for all trials
        key, made = ((), ()) if self._made is None else (self._made.key(trial), self._made.returned(trial))
        given = {**self._common, **own}
        return key, *(
            (name, likeness_of(given[name]) if name in own else id(given[name]))
            for name in DATA_ARGUMENTS
            if name in given and name not in made
        )

    def _chosen(self, trial: Trial, keep: bool = True) -> dict[str, Any]:
        of = None if self._made is None else self._made.of if keep else self._made.again
        made = {} if of is None else of(trial)
        given = {**self._common, **trial.variant.fit_arguments, **made}
        return {name: given[name] for name in DATA_ARGUMENTS if name in given}

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


def _never() -> bool:
    return False


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
