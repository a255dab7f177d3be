"""Which layers are adapted to how many samples while a builder runs.

In: a context. Out: a list of names of layers and numbers of samples, filled while it is entered.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras


@contextmanager
def adaptations() -> Iterator[list[tuple[str, int]]]:
    """Note the name of each of Keras's layers that is adapted, and to how many samples, where that shows."""
    seen: list[tuple[str, int]] = []
    kinds: list[Any] = [kind for kind in vars(keras.layers).values() if isinstance(kind, type)]
    originals = {kind: vars(kind)["adapt"] for kind in kinds if "adapt" in vars(kind)}
    for kind, adapt in originals.items():
        kind.adapt = _noting(adapt, seen)
    try:
        yield seen
    finally:
        for kind, adapt in originals.items():
            kind.adapt = adapt


def _noting(adapt: Any, seen: list[tuple[str, int]]) -> Any:
    @functools.wraps(adapt)
    def noted(self: Any, data: Any, *rest: Any, **options: Any) -> Any:
        shape = getattr(data, "shape", None)
        if shape is not None and len(shape) and shape[0] is not None:
            seen.append((self.name, int(shape[0])))
        return adapt(self, data, *rest, **options)

    return noted
