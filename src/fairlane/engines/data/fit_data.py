"""The data arguments of ``Model.fit`` → arrays, the validation split, and how an epoch is cut into batches.

In: ``x``, ``y`` and the other data arguments, as ``Model.fit`` takes them. Out: a `FitData` that every
trial of a fleet shares. Splitting, checking, converting and shuffling are Keras's own. What is not an array,
or too large for the device, becomes a `fairlane.engines.data.sources.Source`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from fairlane.engines.data.sources import Source, unused_number
from fairlane.models import keras_private
from fairlane.models.session import Session

DATA_ARGUMENTS = (
    "x",
    "y",
    "batch_size",
    "validation_split",
    "validation_data",
    "shuffle",
    "class_weight",
    "sample_weight",
    "steps_per_epoch",
    "validation_steps",
    "validation_batch_size",
)
"""The arguments of ``Model.fit`` that decide what a batch is."""


@dataclass(frozen=True, eq=False)
class Batches:
    """Arrays, and how an epoch of them is cut.

    Attributes:
        arrays: the structure that ``train_step`` gets as ``data``, of whole arrays ``(samples, ...)``.
        samples: their length; or that of ``rows``.
        arguments: how Keras's iterator cuts them (batch size, steps, shuffling).
        adapter: Keras's data adapter over as many samples as these, to see their shapes and dtypes.
        rows: shape ``(samples,)``: where in the arrays the samples of a fold are; None where all are its own.
        pool: equal for the same arrays, as folds have them: lanes of one chunk take their samples from them.
            It is never the number of other arrays, as an address may be once these are freed.
    """

    arrays: Any
    samples: int
    arguments: Mapping[str, Any]
    adapter: Any = field(repr=False)
    rows: NDArray[np.int32] | None = None
    pool: int = field(default_factory=unused_number)
    _runs: dict[int, list[tuple[int, int, int]]] = field(init=False, repr=False, default_factory=dict)

    @property
    def form(self) -> Any:
        """Equal for arrays that one program can take, in batches of one size: another needs other memory."""
        shapes = keras.tree.map_structure(
            lambda a: None if a is None else (a.shape, str(a.dtype)), self.arrays
        )
        return repr(shapes), self.rows is None, int(self.adapter.batch_size)

    @property
    def likeness(self) -> Any:
        """Equal for folds of the same arrays that are of one size, and so are cut alike."""
        return self.pool, self.samples

    def of_fold(self, rows: NDArray[np.int32], alike: Batches) -> Batches:
        """The samples of a fold, which stay where they are.

        Args:
            rows: where they are.
            alike: as many samples of these arrays, whichever.
        """
        return replace(alike, arrays=self.arrays, rows=rows, pool=self.pool)

    @functools.cached_property
    def shuffles_plainly(self) -> bool:
        """Whether an epoch's order is ``numpy.random.permutation`` of the samples, and nothing else is drawn.

        Keras's own iterator shows it: its orders, and where it leaves the generator.
        """
        if not self.is_whole or not self.arguments["shuffle"]:
            return False
        iterator, session = self.numbers(1, whole=True), Session(0)
        with session:
            drawn = [drawn_epoch(iterator, 1)[0] for _ in range(2)]
        expected = np.random.RandomState(0)
        alike = all(np.array_equal(order, expected.permutation(self.samples)) for order in drawn)
        return alike and all(map(np.array_equal, session.generators()[1], expected.get_state()))

    @property
    def is_whole(self) -> bool:
        """Whether Keras shuffles a whole epoch together, and begins each epoch with the first batch."""
        return self.arguments["steps_per_epoch"] is None and self.arguments["shuffle"] != "batch"

    def runs(self, steps_per_execution: int) -> list[tuple[int, int, int]]:
        """How one pass without shuffling is cut: ``(first sample, steps, batch size)`` per run."""
        if steps_per_execution not in self._runs:
            drawn = drawn_epoch(self.numbers(steps_per_execution), steps_per_execution)
            alike = [list(run) for _, run in groupby(drawn, key=len)]
            cut = [(int(run[0][0]), len(run), len(run[0])) for run in alike]
            self._runs[steps_per_execution] = cut
        return self._runs[steps_per_execution]

    def iterator(self, steps_per_execution: int) -> Any:
        """A new Keras iterator over the batches themselves."""
        return keras_private.epoch_iterator(
            self.adapter,
            steps_per_epoch=self.arguments["steps_per_epoch"],
            steps_per_execution=steps_per_execution,
        )

    def numbers(self, steps_per_execution: int, whole: bool = False) -> Any:
        """A new Keras iterator over the sample numbers, shuffled as the batches are.

        Args:
            steps_per_execution: the model's.
            whole: put an epoch into one batch, instead of cutting it.
        """
        cut = dict(self.arguments, batch_size=self.samples) if whole else self.arguments
        return keras_private.batch_iterator(
            np.arange(self.samples, dtype="int32"),
            steps_per_execution=steps_per_execution,
            **cut,
        )


@dataclass(frozen=True, eq=False)
class FitData:
    """What the trials of one fleet are trained and validated on.

    Attributes:
        training: the training batches, on the device; or where to read them from.
        validation: the validation batches, or None.
    """

    training: Batches | Source
    validation: Batches | Source | None

    @property
    def form(self) -> Any:
        """Equal for data that lanes of one program can be trained on."""
        return self._of_parts(lambda part: part.form)

    @property
    def pool(self) -> Any:
        """Equal for data that lanes of one chunk can be trained on."""
        return self._of_parts(lambda part: part.pool)

    @property
    def likeness(self) -> Any:
        """Equal for such data whose batches are of the same sizes."""
        return self._of_parts(lambda part: part.likeness)

    def _of_parts(self, of: Callable[[Batches], Any]) -> Any:
        """Of batches what is asked for; what is read is like itself alone."""
        parts = (self.training, self.validation)
        return tuple(
            of(part) if isinstance(part, Batches) else None if part is None else part.number for part in parts
        )

    @property
    def is_read(self) -> bool:
        """Whether batches are read while lanes train."""
        return isinstance(self.training, Source) or isinstance(self.validation, Source)

    @property
    def once(self) -> bool:
        """Whether a part of it can be read only once."""
        return any(isinstance(s, Source) and s.once for s in (self.training, self.validation))

    @property
    def repeats(self) -> bool:
        """Whether the batches of an epoch can be read again, by a trial that continues from a checkpoint."""
        parts = (self.training, self.validation)
        return all(part.repeats for part in parts if isinstance(part, Source))

    def build(self, model: keras.Model) -> None:
        """Build all variables of a model, as ``fit`` does before its first epoch.

        Args:
            model: a compiled model.
        """
        if self.first is not None:
            keras_private.symbolic_build_from(model, self.first)
        else:
            keras_private.symbolic_build(model, self.training.iterator(int(model.steps_per_execution)))

    @property
    def first(self) -> Any:
        """The first training batch that was read, to build models from; None where none was."""
        return self.training.first if isinstance(self.training, Source) else None

    def example(self) -> Any:
        """A training batch, or tensors of its shapes and dtypes; None where they are not known."""
        if isinstance(self.training, Source):
            return self.training.first
        size = min(self.training.samples, int(self.training.adapter.batch_size))

        def like(array: Any) -> Any:
            return keras.KerasTensor((size, *array.shape[1:]), keras.backend.standardize_dtype(array.dtype))

        try:
            return keras.tree.map_structure(like, self.training.arrays)
        except (
            TypeError,
            ValueError,
        ):  # a dtype that Keras has no name for: the model's own inputs have to do
            return None

    def again(self) -> dict[str, Any]:
        """The arguments of ``Model.fit`` to give again, since taking them apart has read from them."""
        parts = {"x": self.training, "validation_data": self.validation}
        return {k: v.again() for k, v in parts.items() if isinstance(v, Source) and (v.once or v.unread)}

    @classmethod
    def of(cls, arguments: Mapping[str, Any], room: float = math.inf) -> FitData:
        """Take ``Model.fit``'s data arguments apart, with Keras's own checks and errors.

        Args:
            arguments: those of `DATA_ARGUMENTS` that are given.
            room: bytes of arrays that fit on the device.

        Raises:
            ValueError: whatever Keras raises for them.
        """
        given = {"shuffle": True, **{k: v for k, v in arguments.items() if v is not None}}
        x, y, weight = given.get("x"), given.get("y"), given.get("sample_weight")
        held_out = given.get("validation_data")
        fits = array_bytes(x, y, weight, held_out) <= room
        if given.get("validation_split") and held_out is None:
            (x, y, weight), held_out = keras_private.split(x, y, weight, given["validation_split"])
        training = training_part(given, (x, y, weight), fits)
        if held_out is None:
            return cls(training, None)
        return cls(training, validation_part(given, keras.utils.unpack_x_y_sample_weight(held_out), fits))


def training_part(given: Mapping[str, Any], samples: Sequence[Any], fits: bool) -> Batches | Source:
    """What is trained on.

    Args:
        given: ``Model.fit``'s other arguments.
        samples: the inputs, the targets and the samples' weights.
        fits: whether arrays fit on the device.
    """
    x, y, weight = samples
    return _part(
        "x",
        x,
        fits,
        y=y,
        sample_weight=weight,
        class_weight=given.get("class_weight"),
        batch_size=given.get("batch_size"),
        steps_per_epoch=_limited(given.get("steps_per_epoch")),
        shuffle=given.get("shuffle", True),
    )


def validation_part(given: Mapping[str, Any], samples: Sequence[Any], fits: bool) -> Batches | Source:
    """What is validated on; arguments as for `training_part`."""
    x, y, weight = samples
    return _part(
        "validation_data",
        x,
        fits,
        y=y,
        sample_weight=weight,
        class_weight=None,
        batch_size=given.get("validation_batch_size") or given.get("batch_size"),
        steps_per_epoch=_limited(given.get("validation_steps")),
        shuffle=False,
    )


def _limited(steps: int | None) -> int | None:
    """As many steps as `keras.config.set_max_steps_per_epoch` leaves."""
    limit = keras.config.max_steps_per_epoch()
    return steps if not limit or (steps and steps <= limit) else limit


def array_bytes(*data: Any) -> int:
    """Bytes of the arrays among ``Model.fit``'s data arguments."""
    leaves = (leaf for leaf in keras.tree.flatten(data) if leaf is not None)
    return sum(int(getattr(leaf, "nbytes", 8 * np.size(leaf))) for leaf in leaves if hasattr(leaf, "shape"))


def _part(
    name: str, x: Any, fits: bool, *, y: Any, sample_weight: Any, class_weight: Any, **cut: Any
) -> Batches | Source:
    content = {"y": y, "sample_weight": sample_weight, "class_weight": class_weight}
    if not (fits and keras_private.is_array_data(x, y, sample_weight)):
        return Source.of(name, x, **content, **cut)
    iterator = keras_private.epoch_iterator(x, **content, **cut)
    arrays, samples = keras_private.adapter_arrays(iterator)
    return Batches(arrays, samples, cut, iterator.data_adapter)


def sized(arrays: Any, size: int) -> Any:
    """The shapes and dtypes of a batch of so many samples of whole arrays."""
    return keras.tree.map_structure(
        lambda a: None if a is None else np.broadcast_to(np.zeros((), a.dtype), (size, *a.shape[1:])), arrays
    )


def drawn_epoch(iterator: Any, at_once: int) -> list[NDArray[np.int32]]:
    """An epoch's batches of sample numbers, as Keras's iterator gives them."""
    drawn: list[NDArray[np.int32]] = []
    with iterator.catch_stop_iteration():
        for _, _, batches in iterator:
            drawn.append(next(batches))
            drawn.extend(islice(batches, at_once - 1))
    return drawn
