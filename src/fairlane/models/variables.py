"""A model's variables in four groups: what training changes of it.

In: a built Keras model, or the values of its variables. Out: a `State`, and back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from fairlane.kit.values import same_values
from fairlane.models import layer_state
from fairlane.trials import Arrays, State, Weights


def variable_groups(model: keras.Model) -> tuple[list[Any], ...]:
    """All that training changes: trainable, non-trainable, the optimizer's and the metrics' variables."""
    return (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )


def read_state(model: keras.Model) -> State:
    """The values of a built model's variables."""
    return State(*([v.value for v in group] for group in variable_groups(model)))


def write_state(
    model: keras.Model, state: State | Weights, groups: Sequence[Sequence[Any]] | None = None
) -> None:
    """Assign all of a model's variables; of `Weights`, also what its layers hold besides.

    Args:
        model: built.
        state: the values.
        groups: the variables that the values are of, where the model's are others now.
    """
    if isinstance(state, Weights):
        layer_state.write_layers(model, state.layers, state.state)
        state = state.state
    for group, arrays in zip(groups or variable_groups(model), state, strict=True):
        for variable, array in zip(group, arrays, strict=True):
            variable.assign(array)


def weights_of(model: keras.Model) -> Weights:
    """All that a built model remembers, as NumPy arrays, whatever Keras's backend."""
    groups = ([keras.ops.convert_to_numpy(v) for v in group] for group in variable_groups(model))
    return Weights(State(*groups), layer_state.read_layers(model))


def to_weights(state: State, model: keras.Model) -> Weights:
    """One lane's state as NumPy arrays of its own, with what the layers of its model hold besides."""
    return Weights(State(*([np.array(a) for a in group] for group in state)), layer_state.read_layers(model))


def same_weights(weights: State, state: State) -> bool:
    """Whether a state's values are these, its metrics' left out."""
    return all(
        same_values(a, b)
        for name in State._fields
        if name != "metrics"
        for a, b in zip(getattr(weights, name), getattr(state, name), strict=True)
    )


def metrics_at_rest(model: keras.Model) -> Arrays:
    """What ``model.reset_metrics()`` makes of the metrics' variables; the model is left so."""
    model.reset_metrics()
    return [np.asarray(v.value) for v in model.metrics_variables]
