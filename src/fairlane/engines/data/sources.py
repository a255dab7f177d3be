"""Data that are read batch by batch while lanes train, each batch once for all lanes that share it.

In: what ``Model.fit`` takes as ``x`` and has no end that is known beforehand, or is too large to stay on
the device: a ``PyDataset``, a ``tf.data.Dataset``, a ``DataLoader``, a generator, large arrays. Out: a
`Reading` per group of lanes that see the same batches, which yields an epoch in pieces.

What a batch is, how many an epoch has, what happens when they run out and when a dataset's ``on_epoch_end``
is called is decided by Keras's own iterator. It draws the order of the batches of a ``PyDataset`` and of
arrays from the trial's seed: lanes share them where that draw is the same. Any other randomness is the
source's own, and is drawn once for all.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from types import GeneratorType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np

from fairlane.engines.eligibility import Unsuitable, refuse_batch
from fairlane.errors import FairlaneWarning
from fairlane.kit.call_sites import caller, warn_at
from fairlane.kit.error_text import first_line
from fairlane.kit.values import read_only
from fairlane.models import keras_private
from fairlane.models.session import Generators
from fairlane.models.streams import generators_now

PIECE_BYTES = 64 * 2**20
"""Bytes of batches to read before they are handed to the program: two pieces are in memory at a time."""

PIECE_STEPS = 32
"""Batches to hand to the program together; more do not make a small model's step cheaper."""


_LARGE = 2**22
"""Bytes from which on an array of a dataset is not copied."""


class Piece(NamedTuple):
    """Some batches of one shape, one after another.

    Attributes:
        data: the structure that ``train_step`` gets, of JAX arrays ``(steps, batch, ...)``.
        steps: how many batches.
        shapes: what a program for them depends on.
    """

    data: Any
    steps: int
    shapes: Any

    def cut(self, first: int, steps: int) -> Piece:
        """``steps`` of its batches, from number ``first`` on."""
        return Piece(jax.tree.map(lambda a: a[first : first + steps], self.data), steps, self.shapes)


unused_number = itertools.count().__next__
"""A number that no data have had before: an address is taken again by others once the data are freed."""


@dataclass(eq=False)
class Unread:
    """A dataset that changes between epochs (a count of them, an order), as it was before it was read.

    A trial alone begins with it; so does everyone who reads here.

    Attributes:
        name: the argument of ``Model.fit`` that it is, for messages.
        dataset: a copy of it; None where it can't be copied.
        why: the reason.
    """

    name: str
    dataset: Any
    why: str = ""
    _taken: bool = False

    @classmethod
    def of(cls, name: str, x: Any) -> Unread | None:
        """That of a dataset; None where it does nothing between epochs."""
        if not isinstance(x, keras.utils.PyDataset) or not _acts_between_epochs(x):
            return None
        try:
            return cls(name, _copied(x))
        except Exception as error:  # of what it holds: a file, a lock
            return cls(name, None, f"{type(error).__name__}: {first_line(error)}")

    def take(self, own: Any) -> Any:
        """The dataset to read: the caller's own the first time, and then copies.

        Args:
            own: the caller's.
        """
        first, self._taken = not self._taken, True
        if first:
            return own
        if self.dataset is not None:
            return _copied(self.dataset)
        warn_at(
            caller(),
            f"{self.name} is a {type(own).__name__} with an on_epoch_begin or on_epoch_end of its own, and "
            f"can't be copied ({self.why}). So trials that read it later, or in another order, do not find "
            "it as it was at first, and their numbers may not be those of a trial alone; let it hold what "
            "copy.deepcopy can copy, such as the path of a file in place of the open file",
            FairlaneWarning,
        )
        return own


def _copied(dataset: Any) -> Any:
    """A copy of a dataset that shares its large arrays: samples, most likely, which reading does not change.

    One that writes to them (shuffles samples in place) fails: all that read them would get what it wrote.
    """
    leaves = keras.tree.flatten(vars(dataset))
    shared = [leaf for leaf in leaves if getattr(leaf, "nbytes", 0) >= _LARGE]
    return copy.deepcopy(dataset, {id(array): read_only(array) for array in shared})


@dataclass(eq=False)
class Source:
    """Where batches are read from.

    Attributes:
        name: the argument of ``Model.fit`` that it is, for messages.
        x: that argument, or Keras's adapter over it.
        arguments: how Keras's iterator takes batches from it.
        once: whether it can be read only once.
        number: which source it is.
        unread: the dataset as it was before it was read, where reading changes it; else None.
    """

    name: str
    x: Any
    arguments: Mapping[str, Any]
    once: bool = False
    number: int = field(default_factory=unused_number)
    unread: Unread | None = None
    _readings: dict[Any, Reading] = field(default_factory=dict)
    _begun: int = 0
    _first: Any = None

    @classmethod
    def of(cls, name: str, x: Any, **arguments: Any) -> Source:
        """Take a source from ``Model.fit``'s arguments, with Keras's own checks and errors.

        Raises:
            ValueError: what Keras raises for them.
        """
        once, unread = isinstance(x, GeneratorType), Unread.of(name, x)
        iterator = keras_private.batch_iterator(x, **arguments)
        shuffle = arguments.get("shuffle") if _keras_shuffles(x) else False  # Keras has warned of it by now
        # A generator's adapter has taken its first batches, and is the only one that still knows them.
        return cls(
            name, iterator.data_adapter if once else x, {**arguments, "shuffle": shuffle}, once, unread=unread
        )

    @property
    def first(self) -> Any:
        """The first batch that was ever read, or None where none was."""
        return self._first

    def iterator(self, steps_per_execution: int = 1) -> Any:
        """A new Keras iterator over its batches, from the beginning."""
        x = self.x if self.unread is None else self.unread.take(self.x)
        return keras_private.batch_iterator(x, steps_per_execution=steps_per_execution, **self.arguments)

    def again(self) -> Any:
        """What to give to ``Model.fit`` instead: of a generator, the adapter has taken the first batches."""
        if self.once:
            return (batch for batch in self.x.get_numpy_iterator())
        return self.x if self.unread is None else self.unread.take(self.x)

    @property
    def repeats(self) -> bool:
        """Whether an epoch's batches follow from Keras's random order alone, and can be read again.

        So do those of arrays, and of a ``PyDataset`` that does nothing at the ends of epochs.
        """
        if self.arguments.get("steps_per_epoch") is not None:
            return False  # the next epoch continues where this one ended
        if isinstance(self.x, keras.utils.PyDataset):
            return not _acts_between_epochs(self.x)
        return bool(keras_private.is_array_data(self.x))

    def join(self, model: keras.Model, steps_per_execution: int, at: Any = None) -> Reading:
        """Build the rest of a model, as ``fit`` does, and find the reading that its lane shares.

        To be called in the trial's session, where ``fit`` would be.

        Args:
            model: compiled.
            steps_per_execution: the model's.
            at: where the random generators are to stand when reading begins, as `Generators.states` says;
                by default where the model's building leaves them.

        Raises:
            Unsuitable: its batches are not arrays, or it was used up by others.
        """
        drawn = None
        if self.arguments["shuffle"]:
            drawn = _position(at)
        reading = self._readings.get((steps_per_execution, drawn))
        if reading is None or reading.begun:
            reading = self._readings[steps_per_execution, drawn] = self._read(model, steps_per_execution, at)
        elif reading.first is not None:
            keras_private.symbolic_build_from(model, reading.first)
            if drawn is not None:
                reading.generators.hand_on()
        else:
            keras_private.symbolic_build(model, reading.iterator)
        reading.lanes += 1
        return reading

    def _read(self, model: keras.Model, steps_per_execution: int, at: Any) -> Reading:
        if self.once and self._begun:
            raise Unsuitable(f"{self.name} is a generator, and other lanes have read it")
        iterator = self.iterator(steps_per_execution)
        self._begun += 1
        first = keras_private.symbolic_build(model, iterator)
        if first is not None:
            refuse_batch(self.name, first)
            self._first = first if self._first is None else self._first
        return Reading(self.name, iterator, first, at)

    def check(self) -> None:
        """Read a first batch, once, and check that lanes can take it.

        Raises:
            Unsuitable: they can't.
        """
        if self._first is None:
            iterator = self.iterator()
            with iterator.catch_stop_iteration():
                self._first = next(next(iter(iterator))[2])
            iterator.reset()
            refuse_batch(self.name, self._first)

    def for_validation(self, steps_per_execution: int) -> Reading:
        """A reading of its own, for lanes that are validated together.

        Raises:
            Unsuitable: it was used up by others.
        """
        if self.once and self._begun:
            raise Unsuitable(f"{self.name} is a generator, and other lanes have read it")
        self._begun += 1
        return Reading(self.name, self.iterator(steps_per_execution), None)


class Reading:
    """One pass after another over a source, for lanes that share what is read.

    Attributes:
        iterator: Keras's.
        first: the batch that was read to build models, or None.
        begun: whether an epoch has been read, and it is too late to join.
        lanes: how many have joined.
        generators: where Python's and NumPy's random generators stand for it.
    """

    def __init__(self, name: str, iterator: Any, first: Any, at: Any = None) -> None:
        self._name = name
        self.iterator = iterator
        self.first = first
        self.begun = False
        self.lanes = 0
        self.generators = Generators(at)
        # Fixed once: a length that Keras learns later must not change which programs are compiled.
        self._length: int | None = iterator.num_batches

    @property
    def steps(self) -> int | None:
        """Batches of an epoch, where that is known."""
        return self._length

    @contextmanager
    def epoch(self, again: bool = False) -> Generator[Iterator[Piece]]:
        """The pieces of the next epoch; the random generators are the reading's own meanwhile.

        Args:
            again: begin at the start, as validation does, also where ``steps_per_epoch`` ended in between.
        """
        self.begun = True
        with self.generators:
            if again:
                self.iterator.reset()
            pieces = self._pieces()
            try:
                yield pieces
            finally:
                pieces.close()

    def _pieces(self) -> Generator[Piece]:
        held: list[Any] = []
        shapes: Any = None
        for batch in self._batches():
            new = _shapes(batch)
            if new != shapes:
                refuse_batch(self._name, batch)
                yield from self._packed(held, shapes, rest=True)
                held, shapes = [], new
            held.append(batch)
            full = self._steps_at_once(batch)
            if len(held) == full:
                yield from self._packed(held, shapes)
                held = []
        yield from self._packed(held, shapes, rest=True)

    def _packed(self, held: list[Any], shapes: Any, rest: bool = False) -> Iterator[Piece]:
        """Batches as one piece; where lengths are unknown, a rest as pieces of 2^n batches."""
        while held:
            steps = len(held)
            if rest and self._length is None:
                steps = 1 << (steps.bit_length() - 1)
            now, held = held[:steps], held[steps:]
            yield Piece(jax.tree.map(lambda *a: jnp.asarray(np.stack(a)), *now), steps, shapes)

    def _steps_at_once(self, batch: Any) -> int:
        size = sum(a.nbytes for a in jax.tree.leaves(batch)) or 1
        most = max(1, min(PIECE_STEPS, PIECE_BYTES // size))
        if not self._length:
            return int(most)
        return -(-self._length // -(-self._length // most))  # pieces as equal as can be

    def _batches(self) -> Generator[Any]:
        at_once = self.iterator.steps_per_execution
        with self.iterator.catch_stop_iteration():
            for _, _, batches in self.iterator:
                yield next(batches)
                yield from islice(batches, at_once - 1)


def _acts_between_epochs(x: Any) -> bool:
    """Whether a dataset does something at the beginnings or ends of epochs."""
    plain, hooks = keras.utils.PyDataset, ("on_epoch_begin", "on_epoch_end")
    return any(getattr(type(x), hook) is not getattr(plain, hook) for hook in hooks)


def _keras_shuffles(x: Any) -> bool:
    """Whether Keras draws the order of the batches itself, from the trial's seed."""
    if isinstance(x, keras.utils.PyDataset):
        return x.num_batches is not None
    return keras_private.is_array_data(x)


def _shapes(batch: Any) -> Any:
    leaves, structure = jax.tree.flatten(batch)
    return structure, tuple((np.shape(a), str(getattr(a, "dtype", type(a)))) for a in leaves)


def _position(at: Any) -> Any:
    """Where the generators stand that Keras shuffles batches with, as something hashable."""
    python, (_, words, position, *_) = at or generators_now()
    return python, bytes(memoryview(words)), position
