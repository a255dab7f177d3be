"""Fairlane: train many Keras models side by side, each in its own lane.

The public names, loaded on first use. The only work done on import is to choose Keras's backend where
nobody has chosen one, which must come before the first import of Keras.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fairlane.kit import backend

__version__ = "0.1.0"

backend.choose()

if TYPE_CHECKING:
    from fairlane import trackers as trackers
    from fairlane.errors import (
        AlreadyTrainedWarning,
        BuilderError,
        FairlaneError,
        FairlaneWarning,
        LanesError,
        SharedStateError,
        StoreError,
        StudyError,
        TrialError,
    )
    from fairlane.models.copies import copy, fresh
    from fairlane.models.guard.watch import continuing, guard
    from fairlane.models.isolation import check_independent, shared_state
    from fairlane.results.calibration import expected_calibration_error
    from fairlane.results.opening import open, studies
    from fairlane.results.study import Study
    from fairlane.running.compare import compare, fit
    from fairlane.running.crews import Ray, Shared
    from fairlane.running.folds import Folds
    from fairlane.running.phases import Phase
    from fairlane.running.search import search
    from fairlane.searching.domains import Choice, Float, Int, When
    from fairlane.searching.space import Space
    from fairlane.trials import Trial, TrialState, Variant

_HOMES = {
    "compare": "running.compare",
    "expected_calibration_error": "results.calibration",
    "open": "results.opening",
    "studies": "results.opening",
    "fit": "running.compare",
    "search": "running.search",
    "Choice": "searching.domains",
    "Float": "searching.domains",
    "Folds": "running.folds",
    "Phase": "running.phases",
    "Ray": "running.crews",
    "Shared": "running.crews",
    "Int": "searching.domains",
    "When": "searching.domains",
    "Space": "searching.space",
    "Study": "results.study",
    "guard": "models.guard.watch",
    "continuing": "models.guard.watch",
    "copy": "models.copies",
    "fresh": "models.copies",
    "shared_state": "models.isolation",
    "check_independent": "models.isolation",
    "Trial": "trials",
    "TrialState": "trials",
    "Variant": "trials",
    "FairlaneError": "errors",
    "FairlaneWarning": "errors",
    "StoreError": "errors",
    "StudyError": "errors",
    "AlreadyTrainedWarning": "errors",
    "BuilderError": "errors",
    "LanesError": "errors",
    "SharedStateError": "errors",
    "TrialError": "errors",
}

__all__ = [
    "AlreadyTrainedWarning",
    "BuilderError",
    "Choice",
    "FairlaneError",
    "FairlaneWarning",
    "Float",
    "Folds",
    "Int",
    "LanesError",
    "Phase",
    "Ray",
    "Shared",
    "SharedStateError",
    "Space",
    "StoreError",
    "Study",
    "StudyError",
    "Trial",
    "TrialError",
    "TrialState",
    "Variant",
    "When",
    "__version__",
    "check_independent",
    "compare",
    "continuing",
    "copy",
    "expected_calibration_error",
    "fit",
    "fresh",
    "guard",
    "open",
    "search",
    "shared_state",
    "studies",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use."""
    if name == "trackers":
        return import_module("fairlane.trackers")
    if name not in _HOMES:
        raise AttributeError(f"module 'fairlane' has no attribute {name!r}")
    value = getattr(import_module(f"fairlane.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted([*__all__, "trackers"])
