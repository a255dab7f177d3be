"""A lane's callbacks: Keras's own list of them, called between the runs of the program.

In: the user's callbacks and the lane's model. Out: the calls that ``fit`` would make, with the model up to
date while they look at it; and the lane's new state, where they changed it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from fairlane.engines.eligibility import has_own, refuse_unsuitable_callbacks
from fairlane.errors import LanesError
from fairlane.kit.values import same_values
from fairlane.models import keras_private
from fairlane.models.session import Session
from fairlane.models.variables import read_state
from fairlane.trials import State, Trial

Look = Callable[[], State]
"""Reads a lane's current state."""


class LaneCallbacks:
    """A lane's callbacks.

    Attributes:
        users: the user's, in order.
        are_called: whether there is anything to call between epochs; Keras's ``History`` counts.
        eager: whether one of them may hold the model by another name than ``self.model``, so that the model
            has to be up to date whenever they are called.

    Args:
        trial: whose.
        model: its model.
        users: the user's callbacks; None where there are none, not even an empty list.
        epochs: up to which epoch ``fit`` trains.
        steps: how many batches an epoch has, or None.
        in_place: whether the model is the caller's own, which gets a ``history``.

    Raises:
        Unsuitable: one of them acts inside of the epoch.
    """

    def __init__(
        self,
        trial: Trial,
        model: keras.Model,
        users: Sequence[Any] | None,
        epochs: int,
        steps: int | None,
        in_place: bool,
    ) -> None:
        self._trial, self._model = trial, model
        self.users: list[Any] = list(users or ())
        self.are_called = users is not None or in_place
        self.eager = any(
            not type(c).__module__.startswith("keras.") or isinstance(c, keras.callbacks.LambdaCallback)
            for c in self.users
        )
        refuse_unsuitable_callbacks(self.users, int(model.steps_per_execution))
        self._last = _Last()
        self._list: Any = None
        if self.are_called:
            self._list = keras.callbacks.CallbackList(
                [*self.users, self._last],
                add_history=True,
                add_progbar=False,
                model=model,
                verbose=0,
                epochs=epochs,
                steps=steps,
            )

    @property
    def stop_on_nan(self) -> bool:
        """Whether one ends the epoch at the first batch whose loss is not finite."""
        return any(isinstance(c, keras.callbacks.TerminateOnNaN) for c in self.users)

    @property
    def act_before_tests(self) -> bool:
        """Whether one is to be called between training and validation."""
        return any(has_own(c, "on_test_begin") for c in self.users)

    def with_memory(self) -> list[Any]:
        """Those that may remember something: the user's, and Keras's History, which they may look at."""
        if self._list is None or not self.users:
            return []
        return [callback for callback in self._list.callbacks if not isinstance(callback, _Last)]

    # --- the calls of `fit`, in its order -----------------------------------------------------------

    def train_begin(self) -> None:
        """Training begins."""
        if self._list is not None:
            self._list.on_train_begin()

    def epoch_begin(self, epoch: int) -> None:
        """An epoch begins."""
        self._list.on_epoch_begin(epoch)

    def test_begin(self, logs: Mapping[str, float], steps: int | None, validates: bool = True) -> None:
        """The epoch's training has ended, and validation begins.

        Args:
            logs: training logs.
            steps: how many steps the lane did before its loss stopped being finite, or None.
            validates: whether there is validation.
        """
        if steps is not None:
            for callback in self.users:
                if isinstance(callback, keras.callbacks.TerminateOnNaN):
                    callback.on_batch_end(steps - 1, logs)
        if validates:
            self._list.on_test_begin()

    def epoch_end(self, epoch: int, logs: dict[str, float], val_logs: dict[str, float] | None) -> None:
        """Validation has ended, where there was one, and the epoch."""
        if val_logs is not None:
            self._list.on_test_end(val_logs)
        self._list.on_epoch_end(epoch, logs)

    def train_end(self, logs: dict[str, float]) -> None:
        """Training has ended."""
        if self._list is not None:
            self._list.on_train_end(logs=logs)

    def epoch_logs(self) -> dict[str, float]:
        """The logs of the last epoch, with what the callbacks added, such as ``learning_rate``."""
        return self._last.logs

    def call(self, function: Callable[[], None], session: Session, look: Look) -> State | None:
        """Call them in the trial's session, with the model up to date.

        Args:
            function: makes the calls.
            session: the trial's.
            look: reads the lane's state.

        Returns:
            The lane's new state, if they changed it.

        Raises:
            LanesError: they changed which variables the model has.
        """
        if not self.users:  # only Keras's own History, which looks at nothing
            function()
            return None
        model = self._model
        keras_private.set_pending_state(model, look())
        with session:
            if self.eager:
                keras_private.assign_pending_state(model)
            held = None if keras_private.state_is_pending(model) else read_state(model)
            function()
        after = None if keras_private.state_is_pending(model) else read_state(model)
        keras_private.set_pending_state(model, None)
        if after is not None and after.sizes != look().sizes:
            raise LanesError(
                f"a callback changed which variables of the model of {self._trial} are trainable, or "
                "replaced variables. Keras's fit can't continue after that either: call compile() and fit"
            )
        return after if after is not None and _changed(look(), held, after) else None


class _Last(keras.callbacks.Callback):  # type: ignore[misc]
    """Comes after the others, so that it sees the logs that they add, such as ``learning_rate``."""

    def __init__(self) -> None:
        super().__init__()
        self.logs: dict[str, float] = {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.logs = dict(logs or {})


def _changed(before: State, held: State | None, after: State) -> bool:
    """Whether a value differs; not looking where a variable still holds the array that it held.

    (Nor at what it held: ``evaluate`` and ``predict`` use up the arrays they are given.)
    """
    groups = zip(before, held or (([None] * len(g)) for g in before), after, strict=True)
    return any(
        new is not old and not same_values(b, new)
        for group in groups
        for b, old, new in zip(*group, strict=True)
    )
