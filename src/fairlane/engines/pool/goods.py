"""What jobs name by their keys, on its way to workers: builders and data.

In: the driver's `fairlane.engines.resources.Resources`. Out: messages, each packed once for all workers; and
in a worker, resources under the same keys. All folds of the same data go together, so that lanes of several
folds share the samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cloudpickle
import keras

from fairlane.engines.contract import Job
from fairlane.engines.data.fit_data import FitData
from fairlane.engines.data.folds import Fold, FoldArguments, folded
from fairlane.engines.pool.messages import BuilderComes, DataCome
from fairlane.engines.pool.packed import Packed
from fairlane.engines.resources import Builder, DataArguments, Resources, TrainingData
from fairlane.errors import StudyError
from fairlane.kit.error_text import one_line
from fairlane.models import keras_private

Pack = Callable[..., Packed]
"""As `fairlane.engines.pool.crew.Crew.pack`."""


@dataclass(frozen=True, eq=False)
class Data:
    """The data of one or several keys.

    Attributes:
        arguments: of ``Model.fit``, for all samples.
        keys: the keys; and the fold of each, or None where there are none.
        parted: the keys whose data are to be taken apart for lanes.
        readers: how many jobs are trained on each.
    """

    arguments: Mapping[str, Any]
    keys: Mapping[str, Fold | None]
    parted: frozenset[str]
    readers: int

    def unpacked(self, room: float = math.inf) -> dict[str, TrainingData]:
        """The data by their keys, as they are in the driver.

        Args:
            room: bytes of arrays that fit on the device.
        """
        folds = [fold for fold in self.keys.values() if fold is not None]
        if not folds:
            parts = FitData.of(self.arguments, room) if self.parted else None
            return {key: TrainingData(self.arguments, parts, self.readers) for key in self.keys}
        every: list[FitData | None] = [None] * len(folds)
        if self.parted:
            every = [*folded(self.arguments, folds, room)]
        return {
            key: TrainingData(
                FoldArguments(self.arguments, fold, keeps=keras.backend.backend() != "jax"),
                parts if key in self.parted else None,
                self.readers,
            )
            for (key, fold), parts in zip(self.keys.items(), every, strict=True)
            if fold is not None
        }


class Goods:
    """Packs what jobs name, once.

    Args:
        resources: the driver's.
        pack: packs an object for all workers.
    """

    def __init__(self, resources: Resources, pack: Pack) -> None:
        self._resources, self._pack = resources, pack
        self._builders: dict[str, BuilderComes] = {}
        self._data: dict[str, DataCome] = {}
        self.packed: list[Packed] = []

    def of(self, job: Job) -> list[BuilderComes | DataCome]:
        """The messages that bring what a job names.

        Raises:
            Exception: whatever pickling raises.
        """
        if job.builder not in self._builders:
            builder = self._resources.builder_of(job)
            packed = self._noted(self._pack(builder.elsewhere or builder))
            self._builders[job.builder] = BuilderComes(job.builder, packed)
        if job.data not in self._data:
            data = self._travelling(job.data)
            packed = self._noted(self._pack(data, copies=not _are_arrays(data.arguments)))
            come = DataCome(packed, tuple(data.keys))
            self._data |= dict.fromkeys(data.keys, come)
        return [self._builders[job.builder], self._data[job.data]]

    def gone(self) -> list[DataCome]:
        """The data that were packed and that nobody needs any more; they are packed again for who does."""
        there, kept = self._resources.data, dict(self._data)
        self._data = {key: come for key, come in kept.items() if key in there}
        found = list({id(come): come for key, come in kept.items() if key not in there}.values())
        given_up = {id(come.packed) for come in found}
        self.packed = [one for one in self.packed if id(one) not in given_up]
        return found

    def _noted(self, packed: Packed) -> Packed:
        self.packed.append(packed)
        return packed

    def _travelling(self, key: str) -> Data:
        """The data of a key, with those of other folds."""
        every = self._resources.data
        own = every[key]
        if not isinstance(own.arguments, FoldArguments):
            parted = frozenset() if own.parts is None else frozenset({key})
            return Data(dict(own.arguments), {key: None}, parted, own.readers)
        whole = own.arguments.whole
        together = {
            k: v.arguments.fold
            for k, v in every.items()
            if isinstance(v.arguments, FoldArguments) and v.arguments.whole is whole
        }
        parted = frozenset(k for k in together if every[k].parts is not None)
        return Data(dict(whole), together, parted, own.readers)


def _are_arrays(arguments: Mapping[str, Any]) -> bool:
    """Whether data are arrays, which nobody writes to."""
    parts = [(arguments.get("x"), arguments.get("y"), arguments.get("sample_weight"))]
    if (held_out := arguments.get("validation_data")) is not None:
        parts.append(keras.utils.unpack_x_y_sample_weight(held_out))
    return all(keras_private.is_array_data(*some) for some in parts)


def check_travels(jobs: Iterable[Job], resources: Resources) -> None:
    """See that what jobs name can go to workers.

    Raises:
        StudyError: something can't be pickled.
    """
    seen: set[tuple[str, str]] = set()
    for job in jobs:
        named = [("builder", job.builder), ("data", job.data), ("callbacks", job.callbacks)]
        for kind, key in (one for one in named if one not in seen and one[1]):
            seen.add((kind, key))
            if kind == "builder":
                builder = resources.builders[key]
                _check_pickled("the builder", builder.elsewhere or builder)
            elif kind == "callbacks":
                for callback in resources.callbacks[key].example():
                    _check_pickled(f"the callback {type(callback).__name__}", callback)
            elif not _are_arrays(resources.data[key].arguments):
                for name, value in resources.data[key].arguments.items():
                    _check_pickled(f"{name}, a {type(value).__name__},", value)


def _check_pickled(what: str, value: Any) -> None:
    try:
        cloudpickle.dumps(value)
    except StudyError:
        raise
    except Exception as error:
        raise StudyError(
            f"{what} can't be sent to worker processes, because it can't be pickled ({one_line(error)}). "
            "Train without workers=, or make what can't be pickled in the builder or the callbacks' function"
        ) from error


def made_here(packed: Packed, arguments: DataArguments) -> Builder:
    """The builder, in a worker.

    Args:
        packed: as it came.
        arguments: gives the data arguments of a trial.
    """
    opened = packed.open()
    return opened if isinstance(opened, Builder) else opened(arguments)
