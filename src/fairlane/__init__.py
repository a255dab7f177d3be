"""Fairlane: train many Keras models side by side, each in its own lane.

The public names, loaded on first use. The only work done on import is to choose Keras's backend where
nobody has chosen one, which must come before the first import of Keras.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fairlane import _backend

__version__ = "0.1.0"

_backend.choose()

if TYPE_CHECKING:
    from fairlane import trackers as trackers
    from fairlane.copies import copy, fresh
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
    from fairlane.isolation import check_independent, shared_state
    from fairlane.results import Study
    from fairlane.stored import open, studies
    from fairlane.study import compare, fit
    from fairlane.trial import Trial, TrialState, Variant
    from fairlane.watch import continuing, guard

_HOMES = {
    "compare": "study",
    "open": "stored",
    "studies": "stored",
    "fit": "study",
    "Study": "results",
    "guard": "watch",
    "continuing": "watch",
    "copy": "copies",
    "fresh": "copies",
    "shared_state": "isolation",
    "check_independent": "isolation",
    "Trial": "trial",
    "TrialState": "trial",
    "Variant": "trial",
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
    "FairlaneError",
    "FairlaneWarning",
    "LanesError",
    "SharedStateError",
    "StoreError",
    "Study",
    "StudyError",
    "Trial",
    "TrialError",
    "TrialState",
    "Variant",
    "__version__",
    "check_independent",
    "compare",
    "continuing",
    "copy",
    "fit",
    "fresh",
    "guard",
    "open",
    "shared_state",
    "studies",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module the first time that it is asked for."""
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
