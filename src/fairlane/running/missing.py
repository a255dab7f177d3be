"""Values that are missing in data: NaN, None, NaT and pandas' NA.

In: arrays, tensors or frames, also nested. Out: which samples have such a value, and a sentence that says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

_ARGUMENTS = ("x", "y", "sample_weight")


def missing_rows(array: NDArray[Any]) -> NDArray[np.intp]:
    """The numbers of the samples of which a value is missing.

    Args:
        array: shape ``(samples, ...)``.
    """
    if array.dtype.kind not in "fcOmM" or not array.size:
        return np.empty(0, "intp")
    lacks = np.asarray(pd.isna(array)).reshape(len(array), -1).any(axis=1)
    return np.flatnonzero(lacks)


def missing_in(name: str, data: Any) -> str:
    """That values are missing, such as ``"y has missing values (NaN) in 3 of 10 samples, such as sample 7"``.

    Args:
        name: of the argument.
        data: arrays, tensors or frames, or a nested structure of them; others do not count.

    Returns:
        The words; empty where no value is missing.
    """
    for leaf in keras.tree.flatten(data):
        if not getattr(leaf, "shape", ()):
            continue
        plain = isinstance(leaf, np.ndarray) or hasattr(leaf, "iloc")
        array = np.asarray(leaf if plain else keras.ops.convert_to_numpy(leaf))
        rows = missing_rows(array)
        if rows.size:
            return (
                f"{name} has missing values (NaN) in {rows.size} of {len(array)} samples, such as sample "
                f"{rows[0]}"
            )
    return ""


def missing_in_arguments(given: Mapping[str, Any]) -> str:
    """As `missing_in`, for those of ``Model.fit``'s data arguments that are trained on; the first that lacks
    something."""
    found = (missing_in(name, given.get(name)) for name in _ARGUMENTS)
    return next(filter(None, found), "")
