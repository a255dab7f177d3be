"""Every error and warning of Fairlane.

Each message says what happened, to which trial or variable, why it matters, and what to do next.
"""

from __future__ import annotations

from typing import Any


class FairlaneError(Exception):
    """The base of all errors that Fairlane itself raises.

    Example:
        >>> import fairlane as fl
        >>> try:
        ...     fl.fit([])
        ... except fl.FairlaneError as error:
        ...     print(error)
        the list of models is empty, so there is nothing to train
    """


class StudyError(FairlaneError, ValueError):
    """A request can't be carried out: wrong variants, seeds, data or arguments.

    Example:
        >>> import fairlane as fl
        >>> try:
        ...     fl.compare(lambda units: None, {"units": [8, 16]}, engine="fast")
        ... except fl.StudyError as error:
        ...     print(error)
        engine must be one of 'auto', 'lanes', 'reference', not 'fast'
    """


class BuilderError(FairlaneError, TypeError):
    """A builder gave something other than a fresh, compiled ``keras.Model``.

    Example:
        >>> import fairlane as fl
        >>> try:
        ...     fl.copy("model")
        ... except fl.BuilderError as error:
        ...     print(error)
        fairlane.copy takes a keras.Model, not str.
    """


class LanesError(FairlaneError):
    """``engine="lanes"`` was requested, and a trial can't run there; the message gives the reason.

    Example:
        >>> import fairlane as fl, keras, numpy as np
        >>> def build():
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        ...     model.compile("sgd", loss="mse", run_eagerly=True)
        ...     return model
        >>> x, y = np.ones((8, 2)), np.ones((8, 1))
        >>> try:
        ...     fl.compare(build, [{}], x, y, engine="lanes", verbose=0)
        ... except fl.LanesError as error:
        ...     print("run_eagerly" in str(error))
        True
    """


class SharedStateError(FairlaneError, ValueError):
    """Models that should be independent share a model, layer, variable, optimizer, metric or seed.

    Attributes:
        shared: what they share, as `fairlane.models.isolation.Shared` values.

    Example:
        >>> import fairlane as fl, keras
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", loss="mse")
        >>> try:
        ...     fl.fit([model, model])
        ... except fl.SharedStateError as error:
        ...     print([one.kind for one in error.shared])
        ['model']
    """

    def __init__(self, message: str, shared: Any = ()) -> None:
        super().__init__(message)
        self.shared = tuple(shared)


class TrialError(FairlaneError):
    """A trial failed, and ``on_error="raise"`` stops the study at the first failure.

    Attributes:
        trial: the `fairlane.Trial` that failed.
        study: the `fairlane.Study` with all trials that had finished.

    Example:
        >>> import fairlane as fl, keras, numpy as np
        >>> def build(units):
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)])
        ...     model.compile("sgd", loss="mse")
        ...     return model
        >>> x, y = np.ones((8, 2)), np.ones((8, 1))
        >>> try:
        ...     fl.compare(build, {"units": [1, -1]}, x, y, on_error="raise", verbose=0)
        ... except fl.TrialError as error:
        ...     print(error.trial, "of", len(error.study.trials))
        trial 1 (units=-1, seed 0) of 2
    """

    def __init__(self, message: str, trial: Any = None, study: Any = None) -> None:
        super().__init__(message)
        self.trial = trial
        self.study = study


class StoreError(FairlaneError, RuntimeError):
    """A store can't be opened, read or written; the message says what is stored and what to do.

    Attributes:
        study: the `fairlane.Study` as it was in memory, where one was being trained.

    Example:
        >>> import fairlane as fl
        >>> try:
        ...     fl.studies("nowhere.db")
        ... except fl.StoreError as error:
        ...     print("nowhere.db" in str(error), error.study)
        True None
    """

    def __init__(self, message: str, study: Any = None) -> None:
        super().__init__(message)
        self.study = study


class FairlaneWarning(UserWarning):
    """The base of Fairlane's warnings.

    Example:
        >>> import fairlane as fl, warnings
        >>> warnings.simplefilter("error", fl.FairlaneWarning)  # where there must be none, as in tests
    """


class AlreadyTrainedWarning(FairlaneWarning):
    """The guard saw a trained model used again, or an optimizer, metric or callback of another model.

    Example:
        >>> import fairlane as fl, keras, numpy as np, warnings
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="net")
        >>> model.compile("sgd", loss="mse")
        >>> with fl.guard(), warnings.catch_warnings():
        ...     warnings.simplefilter("error", fl.AlreadyTrainedWarning)
        ...     _ = model.fit(np.ones((8, 2)), np.ones((8, 1)), verbose=0)
        ...     try:
        ...         model.compile("adam", loss="mse")
        ...         _ = model.fit(np.ones((8, 2)), np.ones((8, 1)), verbose=0)
        ...     except fl.AlreadyTrainedWarning as warning:
        ...         print(str(warning)[:41])
        Model 'net' has been trained for 1 epoch,
    """
