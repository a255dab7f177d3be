"""A model's variables in four groups: what training changes of it.

In: a built Keras model, or the values of its variables. Out: a `State`, and back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from fairlane.structure import variable_groups
from fairlane.trial import Weights

Arrays = list[Any]


class State(NamedTuple):
    """A model's variables, in the order of its own lists; stacked lanes have one more axis in front."""

    trainable: Arrays
    non_trainable: Arrays
    optimizer: Arrays
    metrics: Arrays


def read_state(model: keras.Model) -> State:
    """The values of a built model's variables."""
    return State(*([v.value for v in group] for group in variable_groups(model)))


def write_state(
    model: keras.Model, state: State | Weights, groups: Sequence[Sequence[Any]] | None = None
) -> None:
    """Assign all of a model's variables; ``groups`` are those that the state is of."""
    values = (state.trainable, state.non_trainable, state.optimizer, state.metrics)
    for group, arrays in zip(groups or variable_groups(model), values, strict=True):
        for variable, array in zip(group, arrays, strict=True):
            variable.assign(array)


def weights_of(model: keras.Model) -> Weights:
    """The values of a built model's variables as NumPy arrays, whatever Keras's backend."""
    return Weights(*([keras.ops.convert_to_numpy(v) for v in group] for group in variable_groups(model)))


def to_weights(state: State) -> Weights:
    """One lane's state as NumPy arrays of its own."""
    return Weights(*([np.array(a) for a in group] for group in state))


def same_weights(weights: Weights, state: State) -> bool:
    """Whether a state's values are these, its metrics' left out."""
    kept = (weights.trainable, weights.non_trainable, weights.optimizer)
    now = (state.trainable, state.non_trainable, state.optimizer)
    return all(
        np.array_equal(
            np.asarray(a), np.asarray(b), equal_nan=np.issubdtype(np.asarray(a).dtype, np.floating)
        )
        for before, after in zip(kept, now, strict=True)
        for a, b in zip(before, after, strict=True)
    )


def metrics_at_rest(model: keras.Model) -> Arrays:
    """What ``model.reset_metrics()`` makes of the metrics' variables; the model is left so."""
    model.reset_metrics()
    return [np.asarray(v.value) for v in model.metrics_variables]
