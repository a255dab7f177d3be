"""Every error and warning of Fairlane.

Each message says what happened, to which trial or variable, why it matters, and what to do next.
"""

from __future__ import annotations

from typing import Any


class FairlaneError(Exception):
    """The base of all errors that Fairlane raises on its own account."""


class StudyError(FairlaneError, ValueError):
    """What was asked of a study can't be done: wrong variants, seeds, data or arguments."""


class BuilderError(FairlaneError, TypeError):
    """A builder gave something other than a fresh, compiled ``keras.Model``."""


class LanesError(FairlaneError):
    """``engine="lanes"`` was asked for, and a trial can't run there; the message gives the reason."""


class SharedStateError(FairlaneError, ValueError):
    """Models that should be independent share a model, layer, variable, optimizer, metric or seed.

    Attributes:
        shared: what they share, as `fairlane.isolation.Shared` values.
    """

    def __init__(self, message: str, shared: Any = ()) -> None:
        super().__init__(message)
        self.shared = tuple(shared)


class TrialError(FairlaneError):
    """A trial failed, and ``on_error="raise"`` asked to stop at the first that does.

    Attributes:
        trial: the `fairlane.Trial` that failed.
        study: the `fairlane.Study` with everything that was finished before.
    """

    def __init__(self, message: str, trial: Any = None, study: Any = None) -> None:
        super().__init__(message)
        self.trial = trial
        self.study = study


class StoreError(FairlaneError, RuntimeError):
    """A store can't be opened, read or written; the message says what is kept and what to do.

    Attributes:
        study: the `fairlane.Study` as it was in memory, where one was being trained.
    """

    def __init__(self, message: str, study: Any = None) -> None:
        super().__init__(message)
        self.study = study


class FairlaneWarning(UserWarning):
    """The base of Fairlane's warnings."""


class AlreadyTrainedWarning(FairlaneWarning):
    """The guard saw a trained model, or an optimizer, metric or callback of another one, used again."""
