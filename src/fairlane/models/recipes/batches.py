"""The shapes and dtypes of a batch as JSON, and symbolic tensors from them.

In: a batch as ``train_step`` gets it. Out: JSON; and from such JSON, which may come from anywhere, a batch of
symbols, with which a model makes all its variables.
"""

from __future__ import annotations

import math
from typing import Any

import keras

from fairlane.errors import StudyError
from fairlane.models import keras_private

_LARGEST = 2**30
"""The most values of a batch: JSON from a store may ask for any shape."""
Batch = Any
"""Arrays as ``train_step`` gets them, of any values: their shapes and dtypes count."""


def shapes_of(batch: Batch) -> Any:
    """The shapes and dtypes of a batch, as JSON has it; None where there is no batch."""
    return _listed(keras.tree.map_structure(_shape, batch))


def build_for(model: keras.Model, shapes: Any) -> None:
    """Make all variables of a compiled model: those of layers, the optimizer and the metrics.

    Args:
        model: a compiled model.
        shapes: as `shapes_of` gave them; None for those of the model's own inputs and outputs.

    Raises:
        StudyError: the stored batch is too large.
    """
    batch = _symbols(shapes) if shapes is not None else _guessed(model)
    if batch is not None:
        keras_private.symbolic_build_from(model, batch)


def _shape(array: Any) -> dict[str, Any] | None:
    if array is None:
        return None
    return {"shape": list(array.shape), "dtype": keras.backend.standardize_dtype(array.dtype)}


def _listed(shapes: Any) -> Any:
    """Tuples marked, which JSON does not have."""
    if isinstance(shapes, tuple):
        return {"tuple": [_listed(item) for item in shapes]}
    if isinstance(shapes, list):
        return [_listed(item) for item in shapes]
    if isinstance(shapes, dict) and not _is_shape(shapes):
        return {"dict": {key: _listed(item) for key, item in shapes.items()}}
    return shapes


def _is_shape(value: dict[str, Any]) -> bool:
    return value.keys() == {"shape", "dtype"} and isinstance(value["dtype"], str)


def _symbols(shapes: Any) -> Any:
    if isinstance(shapes, list):
        return [_symbols(item) for item in shapes]
    if not isinstance(shapes, dict):
        return None
    if _is_shape(shapes):
        if math.prod(shapes["shape"]) > _LARGEST:
            raise StudyError(f"the stored batch has the shape {shapes['shape']}, which is too large for one")
        return keras.KerasTensor(shapes["shape"], shapes["dtype"])
    if "tuple" in shapes:
        return tuple(_symbols(item) for item in shapes["tuple"])
    return {key: _symbols(item) for key, item in shapes["dict"].items()}


def _guessed(model: keras.Model) -> Any:
    """A batch of the shapes of a model's own inputs and outputs; None where it has none yet."""
    if not model.built or not getattr(model, "inputs", None):
        return None

    def one(tensor: Any) -> Any:
        shape = [1 if n is None else n for n in tensor.shape]
        return keras.KerasTensor(shape, keras.backend.standardize_dtype(tensor.dtype))

    if keras_private.is_functional(model):
        return tuple(keras.tree.map_structure(one, part) for part in (model.input, model.output))
    return tuple(one(tensors[0]) for tensors in (model.inputs, model.outputs))
