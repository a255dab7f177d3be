"""The training data → why lanes can't train on them, if they can't.

In: the data arguments of ``Model.fit``. Out: the reason in words, or an error where no engine can train on
them.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

import keras

from fairlane.errors import StudyError


def data_reason(x: Any, arguments: Mapping[str, Any], trials: int, on_lanes: bool) -> str:
    """Why lanes can't train on the data; empty where they can.

    Args:
        x: ``Model.fit``'s ``x``.
        arguments: its other arguments, ``y`` among them.
        trials: how many trials read the data.
        on_lanes: whether the study may use lanes.

    Raises:
        StudyError: no engine can train on them.
    """
    if x is None:
        raise StudyError("x is missing; give the training data")
    held_out = arguments.get("validation_data")
    for name, source in (("x", x), ("validation_data", held_out)):
        if isinstance(source, types.GeneratorType) and trials > 1 and not on_lanes:
            raise StudyError(
                f"{name} is a generator, which can be read only once, but {trials} trials would read it one "
                "after another (on lanes they read it together); give arrays, or a keras.utils.PyDataset"
            )
    for name, data in (
        ("x", (x, arguments.get("y"), arguments.get("sample_weight"))),
        ("validation_data", _flat(held_out)),
    ):
        for leaf in keras.tree.flatten(data):
            if _is_sparse(leaf):
                return (
                    f"{name} has sparse arrays ({type(leaf).__name__}), and lanes need dense ones; "
                    "convert them with .toarray() if they fit into memory"
                )
    return ""


def _is_sparse(array: Any) -> bool:
    """Whether an array is a sparse one of SciPy's, JAX's, torch's or TensorFlow's."""
    dense_by_name = hasattr(array, "to_dense") and getattr(array, "is_sparse", False)
    return hasattr(array, "todense") or dense_by_name or type(array).__name__ == "SparseTensor"


def _flat(held_out: Any) -> tuple[Any, ...]:
    return tuple(held_out) if isinstance(held_out, (tuple, list)) else (held_out,)
