"""Whether arrays have changed since: a checksum of their content, which costs little.

In: nested arrays. Out: a number that is another one, all but certainly, when an element has changed.
"""

from __future__ import annotations

import zlib
from typing import Any

import keras
import numpy as np


def checksum(nested: Any) -> int:
    """A checksum of the NumPy arrays and frames in nested data; other objects do not count.

    Args:
        nested: arrays in lists and dicts.

    Example:
        >>> import numpy as np
        >>> x = np.zeros(3)
        >>> before = checksum({"a": x})
        >>> x[1] = 1
        >>> checksum({"a": x}) == before
        False
    """
    found = 0
    for leaf in keras.tree.flatten(nested):
        if isinstance(leaf, np.ndarray) or type(leaf).__module__.split(".")[0] == "pandas":
            array = np.asarray(leaf)
            plain = repr(array.tolist()).encode() if array.dtype == object else array.tobytes()
            found = zlib.crc32(plain, found)
    return found
