"""Import Keras in a worker without what Keras imports for callers that a worker seldom is.

In: nothing. Out: Keras, imported. Keras imports scikit-learn for its wrappers, Matplotlib for its galleries,
and pandas to recognise data frames: two thirds of its import, which each worker would pay. Here they are
imported on first use. Nothing else changes: the wrappers and galleries are there, and data frames are data.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_LATER = ("wrappers", "visualization")
"""The parts of Keras that are imported when an attribute of them is first read."""
_CLASSES = ("DataFrame", "Series")
"""The classes of pandas that Keras compares objects with."""


def import_keras() -> None:
    """Import Keras, where that has not been done; what it seldom needs is left for later."""
    if "keras" in sys.modules:
        return
    finder = _Later()
    sys.meta_path.insert(0, finder)
    stand_in = _Pandas() if _stands_in() else None
    if stand_in is not None:
        sys.modules["pandas"] = stand_in
    try:
        importlib.import_module("keras")
    finally:
        sys.meta_path.remove(finder)
        if stand_in is not None:
            stand_in._leave()


def _stands_in() -> bool:
    """Whether pandas is there and not imported, and is not needed by Keras's backend itself."""
    on_jax = os.environ.get("KERAS_BACKEND") == "jax"
    return on_jax and "pandas" not in sys.modules and importlib.util.find_spec("pandas") is not None


class _Later(importlib.abc.MetaPathFinder):
    """Finds some modules so that they are imported on first use."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """How to import a module; None for all others."""
        later = name.startswith("keras.") and name.rpartition(".")[2] in _LATER
        spec = importlib.machinery.PathFinder.find_spec(name, path) if later else None
        if spec is not None and spec.loader is not None:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


class _Pandas(ModuleType):
    """Stands for pandas in what imports it meanwhile; pandas itself is imported where that needs it."""

    def __init__(self) -> None:
        super().__init__("pandas")

    def __getattr__(self, name: str) -> Any:
        if name in _CLASSES:
            return _OfPandas(name, (), {})
        self._leave()
        return getattr(importlib.import_module("pandas"), name)

    def _leave(self) -> None:
        """Let the next import get pandas itself."""
        if sys.modules.get("pandas") is self:
            del sys.modules["pandas"]


class _OfPandas(type):
    """A class whose instances are those of pandas' class of this name: none before it is imported."""

    def __instancecheck__(cls, instance: Any) -> bool:
        pandas = sys.modules.get("pandas")
        real = getattr(pandas, cls.__name__, None)
        return isinstance(real, type) and not isinstance(real, _OfPandas) and isinstance(instance, real)
