"""The guard: warns where a trained model is trained as if it were new, or several models share a state.

In: `guard`, switched on. Out: an `AlreadyTrainedWarning` at the line that makes the mistake, once each.
While it is on, some functions of Keras are watched when they are called (`watching`); nothing that they do
is changed, and when it is switched off they are the same functions as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from fairlane.kit import arguments
from fairlane.models.guard import ledger
from fairlane.models.guard.watching import Watch


class Guard:
    """The guard: a context manager when called, or switched on for good.

    While it is on, it warns with an `AlreadyTrainedWarning`, once per mistake,

    - of a trained model that is compiled again and trained again on the same samples, or on some of them:
      compiling does not reset weights. The warning points at the line that compiles;
    - of folds that share a model: it is evaluated on samples that its last training left out, and an
      earlier one did not;
    - of an optimizer, metric or callback object that served another model before;
    - of layers that were trained on the same samples in another model;
    - of an initializer object that several layers draw their weights from.

    It does not warn of ``fit`` called again without ``compile``, of other samples, of a model that is
    compiled again only to be evaluated, of weights that were set or loaded, of layers that were frozen or
    unfrozen since, of models that share layers and take turns (as in a GAN), of lines that say what they
    do (``# phase 2``, a loop over epochs), nor of what is done inside `continuing`.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> import fairlane as fl
        >>> x, y = np.zeros((8, 2)), np.zeros((8, 1))
        >>> with fl.guard():
        ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        ...     model.compile("sgd", "mse")
        ...     _ = model.fit(x, y, verbose=0)
        ...     with fl.continuing(model):
        ...         model.compile("adam", "mse")
        ...         _ = model.fit(x, y, verbose=0)  # without continuing, this would warn
    """

    def __init__(self) -> None:
        self._depth = 0
        self._watch: Watch | None = None

    @arguments.checked
    @contextmanager
    def __call__(self) -> Iterator[None]:
        """On within a ``with`` block; blocks may lie within each other.

        Example:
            >>> import fairlane as fl
            >>> with fl.guard():
            ...     fl.guard.enabled
            True
        """
        self._enter()
        try:
            yield
        finally:
            self._leave()

    @property
    def enabled(self) -> bool:
        """Whether it is on.

        Example:
            >>> import fairlane as fl
            >>> fl.guard.enabled
            False
        """
        return self._watch is not None

    def enable(self) -> None:
        """Switch it on until `disable`; it then warns again also of lines that it has warned of before.

        Example:
            >>> import fairlane as fl
            >>> fl.guard.enable()
            >>> fl.guard.enabled
            True
            >>> fl.guard.disable()
        """
        self.disable()
        self._enter()

    def disable(self) -> None:
        """Switch it off, however often it was switched on.

        Example:
            >>> import fairlane as fl
            >>> fl.guard.enable()
            >>> fl.guard.disable()
            >>> fl.guard.enabled
            False
        """
        self._depth = min(self._depth, 1)
        self._leave()

    def _enter(self) -> None:
        self._depth += 1
        if self._watch is None:
            self._watch = Watch()
            self._watch.install()

    def _leave(self) -> None:
        self._depth = max(0, self._depth - 1)
        if not self._depth and self._watch is not None:
            self._watch.remove()
            self._watch = None


guard = Guard()
"""The guard of this session: `Guard` says what it does."""


@contextmanager
def continuing(*models: Any) -> Iterator[None]:
    """Say that training these models further is meant, so that `guard` does not warn of it.

    Args:
        *models: the models that are compiled, or trained, inside the block though they have been trained.

    Raises:
        StudyError: one of them is not a Keras model.

    Example:
        >>> import keras
        >>> import fairlane as fl
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> with fl.continuing(model):
        ...     model.trainable = False
        ...     model.compile("sgd", "mse")
    """
    for position, model in enumerate(models):
        if not isinstance(model, keras.layers.Layer):
            raise arguments.wrong(f"argument {position}", model, "a keras.Model")
    marked = [ledger.of(model) for model in models]
    for one in marked:
        one.continuing += 1
    try:
        yield
    finally:
        for one in marked:
            one.continuing -= 1
