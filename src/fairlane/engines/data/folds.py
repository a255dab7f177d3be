"""Folds: which samples a trial is trained on, and which it is validated on.

In: the whole data, as ``Model.fit`` takes them, and the sample numbers of each fold. Out: ``Model.fit``'s
arguments of a fold; and its `FitData`, whose samples stay where the whole data are, so that lanes of several
folds share them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from fairlane.engines.data.fit_data import Batches, FitData, array_bytes, training_part, validation_part

_OF_SAMPLES = ("x", "y", "sample_weight")


@dataclass(frozen=True, eq=False)
class Fold:
    """The samples of one fold.

    Attributes:
        number: from 0.
        training: shape ``(n,)``: the numbers of the samples that are trained on.
        validation: shape ``(m,)``: of those that are validated on.
    """

    number: int
    training: NDArray[np.int32]
    validation: NDArray[np.int32]


class FoldArguments(Mapping[str, Any]):
    """``Model.fit``'s data arguments of a fold; the samples are copied when one is looked up.

    Args:
        whole: the arguments for all samples.
        fold: which of them are the fold's.
        keeps: whether copies are kept, and are the same objects from then on.
    """

    def __init__(self, whole: Mapping[str, Any], fold: Fold, keeps: bool = False) -> None:
        self._whole, self._fold, self._keeps = whole, fold, keeps
        self._names = [name for name in (*whole, "validation_data") if name != "validation_split"]
        self._names = list(dict.fromkeys(self._names))
        self._kept: dict[str, Any] = {}

    @property
    def whole(self) -> Mapping[str, Any]:
        """The arguments for all samples."""
        return self._whole

    @property
    def fold(self) -> Fold:
        """Which of the samples are the fold's."""
        return self._fold

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        if name not in (*_OF_SAMPLES, "validation_data"):
            return self._whole[name]
        if name in self._kept:
            return self._kept[name]
        value = self._sliced(name)
        if self._keeps:
            self._kept[name] = value
        return value

    def _sliced(self, name: str) -> Any:
        if name in _OF_SAMPLES:
            return samples_of(self._whole[name], self._fold.training)
        parts = [self._whole.get(part) for part in _OF_SAMPLES]
        while parts[-1] is None:
            parts.pop()
        return tuple(samples_of(part, self._fold.validation) for part in parts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def samples_of(data: Any, rows: NDArray[Any] | slice) -> Any:
    """Some samples of data, copied.

    Args:
        data: arrays, tensors or frames, or a nested structure of them, whose first axis are samples; or None.
        rows: shape ``(n,)``: their numbers; or a slice, of which arrays give a view.
    """
    return None if data is None else keras.tree.map_structure(lambda leaf: _taken(leaf, rows), data)


def _taken(leaf: Any, rows: NDArray[Any] | slice) -> Any:
    if leaf is None:
        return None
    if hasattr(leaf, "iloc"):  # a frame's own index says nothing of where a row is
        return leaf.iloc[rows]
    if isinstance(leaf, np.ndarray):
        return leaf[rows]
    return keras.ops.convert_to_numpy(leaf)[rows]


def folded(whole: Mapping[str, Any], folds: Sequence[Fold], room: float) -> list[FitData]:
    """The data of each fold, taken apart for lanes.

    Args:
        whole: ``Model.fit``'s data arguments for all samples.
        folds: their samples.
        room: bytes of arrays that fit on the device.

    Raises:
        ValueError: whatever Keras raises for them.
    """
    given = {name: value for name, value in whole.items() if value is not None}
    parts = [given.get(name) for name in _OF_SAMPLES]
    every = training_part(given, parts, array_bytes(*parts) <= room)
    held_out = validation_part(given, parts, array_bytes(*parts) <= room)
    if not (isinstance(every, Batches) and isinstance(held_out, Batches)):
        return [FitData.of(FoldArguments(whole, fold), room) for fold in folds]
    pool = replace(held_out, arrays=_shared(every.arrays, held_out.arrays, given.get("class_weight")))
    trained: dict[int, Any] = {}
    tested: dict[int, Any] = {}
    made = []
    for fold in folds:
        n, m = len(fold.training), len(fold.validation)
        if n not in trained:
            trained[n] = training_part(given, _as_many(parts, fold.training, every.samples), True)
        if m not in tested:
            tested[m] = validation_part(given, _as_many(parts, fold.validation, every.samples), True)
        training = every.of_fold(fold.training, trained[n])
        made.append(FitData(training, pool.of_fold(fold.validation, tested[m])))
    return made


def _as_many(parts: Sequence[Any], rows: NDArray[np.int32], samples: int) -> list[Any]:
    """As many samples as a fold has, whichever: the first, of which no copy is needed, where they will do."""
    some = slice(0, len(rows)) if len(rows) <= samples else rows
    return [samples_of(part, some) for part in parts]


def _shared(training: Any, validation: Any, class_weight: Any) -> Any:
    """The arrays to validate on: those that are trained on, but for weights that only training has."""
    return training if class_weight is None else (*training[:2], *validation[2:])
