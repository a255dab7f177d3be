"""Each trial's batches, epoch by epoch, in the order in which Keras draws them.

In: `Batches`, and a trial's session. Out: a `BatchOrder`, whose epochs are `EpochOrder`. The order is what
Keras's iterator gives over the sample numbers; where that is one permutation of them, it is drawn without the
iterator, and only when it is needed, in whichever thread that is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlane.engines.data.fit_data import Batches, FitData, drawn_epoch, sized
from fairlane.engines.data.sources import Source
from fairlane.models.session import Session

Indices = NDArray[np.int32]
"""Sample numbers, shape ``(steps, batch)``."""


@dataclass(eq=False)
class EpochOrder:
    """An epoch's sample numbers, drawn when they are first looked at.

    Attributes:
        shapes: the ``(steps, batch)`` of each run of batches of one size, in the order of training. A smaller
            last batch is a run of its own.
    """

    shapes: tuple[tuple[int, int], ...]
    _draw: Callable[[], Sequence[Indices]]
    _drawing: threading.Lock = field(default_factory=threading.Lock)
    _runs: Sequence[Indices] | None = None

    @classmethod
    def of(cls, runs: Sequence[Indices]) -> EpochOrder:
        """One that is drawn already."""
        shapes = tuple((int(run.shape[0]), int(run.shape[1])) for run in runs)
        return cls(shapes, lambda: runs)

    @property
    def runs(self) -> Sequence[Indices]:
        """The numbers: an array of each shape."""
        with self._drawing:
            if self._runs is None:
                self._runs = self._draw()
            return self._runs

    def first(self, steps: int | None) -> EpochOrder:
        """Its first batches; all of them where ``steps`` is None."""
        if steps is None:
            return self
        cut: list[Indices] = []
        for run in self.runs:
            if steps > 0:
                cut.append(run[:steps])
            steps -= len(run)
        return EpochOrder.of(cut)


class BatchOrder:
    """One trial's batches, epoch by epoch, as Keras would draw them.

    Args:
        batches: the training batches.
        session: the trial's session, whose NumPy generator shuffles; None draws from the current one.
        steps_per_execution: the model's.
    """

    def __init__(self, batches: Batches, session: Session | None, steps_per_execution: int = 1) -> None:
        self._batches, self._session = batches, session
        self._whole, self._size = batches.is_whole, int(batches.adapter.batch_size)
        self._at_once = 1 if self._whole else steps_per_execution
        self._plain = session is not None and batches.shuffles_plainly
        # Without steps_per_epoch, Keras shuffles the whole epoch together: draw it in one piece.
        self._iterator = None if self._plain else batches.numbers(self._at_once, whole=self._whole)

    @property
    def goes_on(self) -> bool:
        """Whether an epoch continues where the one before ended, as with ``steps_per_epoch``."""
        return self._batches.arguments["steps_per_epoch"] is not None

    def skip_first_read(self) -> None:
        """Draw what Keras draws where it reads a first batch to build the model, before the first epoch."""
        assert self._session is not None
        if self._plain:
            self._session.apart().permutation(self._batches.samples)
            return
        iterator = self._batches.numbers(self._at_once, whole=self._whole)

        def read() -> None:
            for _, _, batches in iterator:
                next(batches)
                break
            iterator.reset()

        self._session.draw(read)

    def next_epoch(self) -> EpochOrder:
        """The next epoch's sample numbers."""
        if self._plain:
            samples, size = self._batches.samples, self._size
            steps, rest = divmod(samples, size)
            shapes = [shape for shape in ((steps, size), (1, rest)) if all(shape)]
            assert self._session is not None
            generator = self._session.apart()

            def draw() -> Sequence[Indices]:
                return _cut(generator.permutation(samples).astype("int32"), size)

            order = EpochOrder(tuple(shapes), draw)
            self._session.owe(lambda: order.runs)
            return order
        drawn = self._drawn()
        if self._whole:
            return EpochOrder.of(_cut(drawn[0], self._size))
        return EpochOrder.of([np.stack(list(run)) for _, run in groupby(drawn, key=len)])

    def _drawn(self) -> list[NDArray[np.int32]]:
        def draw() -> list[NDArray[np.int32]]:
            return drawn_epoch(self._iterator, self._at_once)

        drawn: list[NDArray[np.int32]] = draw() if self._session is None else self._session.draw(draw)
        return drawn


def _cut(numbers: Indices, size: int) -> list[Indices]:
    """All sample numbers → runs of batches of one size."""
    full = len(numbers) // size * size
    runs = [numbers[:full].reshape(-1, size), numbers[None, full:]]
    return [run for run in runs if run.size]


def test_batches(data: FitData, steps_per_execution: int) -> list[Any]:
    """A batch of each size that validation has, as far as they are known; shapes and dtypes alone count."""
    part = data.validation
    if part is None:
        return []
    if isinstance(part, Source):
        return [part.first] if part.first is not None else []
    return [sized(part.arrays, size) for _, _, size in part.runs(steps_per_execution)]
