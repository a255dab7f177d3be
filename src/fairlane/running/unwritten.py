"""Data that nothing may write to while lanes train on them.

In: ``Model.fit``'s data arguments. Out: a context in which a callback or a builder that writes to one of the
arrays fails; and the words for that failure. Lanes have a copy of the data, so what is written would never be
trained on, and with several trials it would reach all those that begin later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from fairlane.kit.values import read_only
from fairlane.trials import TrialFailed

_OF_DATA = ("x", "y", "sample_weight", "validation_data")
_SAID = re.compile("(array|destination) is read-only")
"""What NumPy's errors say, and those of compiled code that takes its arrays."""


@contextmanager
def unwritten(given: Mapping[str, Any], engine: str) -> Iterator[None]:
    """A context in which NumPy's arrays among the data can't be written to.

    Args:
        given: ``Model.fit``'s arguments.
        engine: as ``compare`` takes it; with ``"reference"``, data are Keras's affair.
    """
    leaves = keras.tree.flatten([given.get(name) for name in _OF_DATA])
    arrays = [leaf for leaf in leaves if isinstance(leaf, np.ndarray) and leaf.flags.writeable]
    arrays = [] if engine == "reference" or keras.backend.backend() != "jax" else arrays
    for array in arrays:
        array.flags.writeable = False
    try:
        yield
    finally:
        for array in arrays * 2:  # a view of one of them only after that one
            with suppress(ValueError):
                array.flags.writeable = True


def unwritable(data: Any) -> Any:
    """Data whose NumPy arrays can't be written to through what is returned.

    Args:
        data: arrays, or a nested structure of them.
    """
    return keras.tree.map_structure(read_only, data)


def explained(failed: TrialFailed) -> TrialFailed:
    """A failure with the reason why an array could not be written to, where that was it."""
    if not _SAID.search(failed.error):
        return failed
    why = (
        "x, y and the other data can't be written to during training, because lanes train on a copy of them, "
        "and all trials share them; write to a copy, x.copy(), or use engine='reference'"
    )
    return replace(failed, error=f"{failed.error} ({why})")
