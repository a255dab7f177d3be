"""Which epoch's logs the trained weights are of.

In: a model's weights when each epoch's logs were measured, and when training has ended. Out: the number of
the epoch that the trained weights belong to. It is the last, unless a callback restored an earlier one, as
``EarlyStopping(restore_best_weights=True)`` does. It is none if the weights are averages over steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from fairlane.models import keras_private
from fairlane.models.variables import variable_groups
from fairlane.trials import OF_NO_EPOCH, State


class KeptWeights:
    """Remembers the weights of a trial's epochs, as far as that is needed to say later which were kept.

    Nothing is remembered of trials whose weights only Keras's own training and callbacks can change: of
    these, ``EarlyStopping`` knows the epoch that it goes back to. Of others it is a hash per epoch.

    Args:
        model: the trial's, built.
        callbacks: the user's.
    """

    def __init__(self, model: keras.Model, callbacks: Sequence[Any]) -> None:
        self._callbacks = callbacks
        self._places = _places(model)
        self.watches = keras_private.averages_weights(model.optimizer) or any(
            map(_may_change_weights, callbacks)
        )
        self._hashes: dict[int, str] = {}
        self._last: int | None = None
        self._before: list[Any] | None = None

    def note(self, epoch: int, state: State) -> None:
        """Take in the weights that an epoch's logs are of; a state that callbacks have changed since is
        another.

        Args:
            epoch: counted from 0.
            state: the model's, or one like it.
        """
        if self.watches:
            self._hashes[epoch] = _hash(self._own(state))
        self._last = epoch

    def note_end(self, epoch: int, state: State) -> None:
        """Take in the weights at the end of the last epoch, before callbacks hear that training ends."""
        self._last = epoch
        if not self.watches:
            self._before = [_copied(array) for array in self._own(state)]

    def epoch_of(self, model: keras.Model, state: State) -> int | None:
        """The epoch whose logs are those of the trained weights.

        Args:
            model: with these weights.
            state: the model's, when training has ended.

        Returns:
            Counted from 0; `OF_NO_EPOCH`, or None if no epoch was trained.
        """
        if self._last is None:
            return None
        now = self._own(state)
        if self.watches:
            trained = _hash(now)
            same = [epoch for epoch, one in self._hashes.items() if one == trained]
            return max(same, default=OF_NO_EPOCH)
        if self._before is None or _equal(self._before, now):
            return self._last
        weights = model.get_weights()
        for callback in self._callbacks:
            restores = isinstance(callback, keras.callbacks.EarlyStopping)
            if restores and callback.best_weights is not None and _equal(callback.best_weights, weights):
                return int(callback.best_epoch)
        return OF_NO_EPOCH

    @property
    def memory(self) -> dict[str, str]:
        """What it remembers, as plain data."""
        return {str(epoch): one for epoch, one in self._hashes.items()}

    def recall(self, memory: Mapping[str, str]) -> None:
        """Remember what another one remembered.

        Args:
            memory: as `memory` gave it.
        """
        self._hashes = {int(epoch): str(one) for epoch, one in memory.items()}

    def _own(self, state: State) -> list[Any]:
        """The weights of a state: its variables without those of random generators."""
        return [*state.trainable, *(state.non_trainable[i] for i in self._places)]


def _places(model: keras.Model) -> list[int]:
    """Where the weights stand among the variables that are not trained, seeds among them."""
    weights = {id(variable) for variable in model.weights}
    return [i for i, variable in enumerate(variable_groups(model)[1]) if id(variable) in weights]


def _may_change_weights(callback: Any) -> bool:
    """Whether a callback may change weights in a way that Fairlane can't see."""
    kind = type(callback)
    keras_own = kind.__module__.startswith("keras.")
    return not keras_own or isinstance(
        callback, keras.callbacks.LambdaCallback | keras.callbacks.SwapEMAWeights
    )


def _copied(array: Any) -> Any:
    return np.array(keras.ops.convert_to_numpy(array))


def _bytes(array: Any) -> bytes:
    return bytes(np.asarray(keras.ops.convert_to_numpy(array)).tobytes())


def _hash(arrays: Sequence[Any]) -> str:
    found = hashlib.blake2b(digest_size=16)
    for array in arrays:
        found.update(_bytes(array))
    return found.hexdigest()


def _equal(some: Sequence[Any], others: Sequence[Any]) -> bool:
    return all(_bytes(a) == _bytes(b) for a, b in zip(some, others, strict=True))
