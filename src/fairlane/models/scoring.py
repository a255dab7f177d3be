"""A compiled model and targets → how good outputs are that no model has given: means of several models' own.

In: a built, compiled model, the targets, the name of its loss or of a metric. Out: a function of many
outputs, which gives a value for each. Keras's own ``compute_loss`` or ``compute_metrics`` is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from fairlane.errors import StudyError
from fairlane.kit.error_text import first_line

Outputs = Sequence[NDArray[Any]]
"""The flat outputs of several models, each with an axis for the models in front."""

_MOST_BYTES = 2**26


def scorer(
    model: Any, structure: Any, y: Any, sample_weight: Any, metric: str
) -> Callable[[Outputs], NDArray[Any]]:
    """A function that says how good outputs are.

    Args:
        model: whose loss and metrics decide.
        structure: outputs of the model, to show how they are nested.
        y: targets.
        sample_weight: weights of the samples, or None.
        metric: ``"loss"``, or the name of a metric.

    Returns:
        The outputs of several models → an array with a value for each.

    Raises:
        StudyError: when it is called: there is no such metric, or the targets do not suit the outputs.
    """

    def one(flat: Sequence[Any]) -> Any:
        outputs = keras.tree.pack_sequence_as(structure, list(flat))
        if metric == "loss":
            return model.compute_loss(
                x=None, y=y, y_pred=outputs, sample_weight=sample_weight, training=False
            )
        found = model.compute_metrics(None, y, outputs, sample_weight)
        if metric not in found:
            names = ", ".join(map(repr, dict.fromkeys(["loss", *found])))
            raise StudyError(f"the models have no metric {metric!r}; there are {names}")
        return found[metric]

    together = _vectorised(model, one) if keras.backend.backend() == "jax" else _one_by_one(model, one)

    def scores(outputs: Outputs) -> NDArray[Any]:
        count = len(outputs[0])
        size = max(1, sum(array.nbytes for array in outputs) // count)
        width = max(1, _MOST_BYTES // size)
        parts = [[array[i : i + width] for array in outputs] for i in range(0, count, width)]
        try:
            return np.concatenate([together(part) for part in parts])
        except StudyError:
            raise
        except Exception as error:
            raise StudyError(
                f"{metric!r} can't be computed of the members' outputs and these targets: {first_line(error)}"
            ) from error

    return scores


def _vectorised(model: Any, one: Callable[[Sequence[Any]], Any]) -> Callable[[Outputs], NDArray[Any]]:
    import jax

    model.reset_metrics()
    at_rest = [(variable, variable.value) for variable in model.metrics_variables]

    def apart(flat: Sequence[Any]) -> Any:
        with keras.StatelessScope(state_mapping=at_rest):
            return one(flat)

    mapped = jax.jit(jax.vmap(apart))
    return lambda outputs: np.asarray(mapped(list(outputs)), "float64")


def _one_by_one(model: Any, one: Callable[[Sequence[Any]], Any]) -> Callable[[Outputs], NDArray[Any]]:
    def values(outputs: Outputs) -> NDArray[Any]:
        found = []
        for flat in zip(*outputs, strict=True):
            model.reset_metrics()
            tensors = [keras.ops.convert_to_tensor(array) for array in flat]
            found.append(float(keras.ops.convert_to_numpy(one(tensors))))
        return np.array(found)

    return values
