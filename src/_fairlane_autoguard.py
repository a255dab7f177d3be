"""Switches ``fairlane.guard`` on in programs that do not mention Fairlane.

In: ``FAIRLANE_GUARD=1`` in the environment; ``fairlane-autoguard.pth`` beside this module then calls
`install` when Python starts. Out: the guard is on as soon as Keras has been imported. Nothing is imported
before that, so the program's own choice of backend stays its own.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def install() -> None:
    """Wait for the first import of Keras."""
    sys.meta_path.insert(0, _Waiting())


class _Waiting(MetaPathFinder):
    """Finds nothing itself; sees to it that the guard is switched on after Keras was imported."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Leave every module to the other finders."""
        if fullname != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("keras")
        if spec is not None and spec.loader is not None:
            _then_guard(spec.loader)
        return spec


def _then_guard(loader: Any) -> None:
    execute = loader.exec_module

    def execute_and_guard(module: ModuleType) -> None:
        execute(module)
        try:
            from fairlane.models.guard.watch import guard

            guard.enable()
        except Exception as error:  # the program itself must run all the same
            warnings.warn(f"FAIRLANE_GUARD: the guard could not be switched on: {error!r}", stacklevel=2)

    loader.exec_module = execute_and_guard
