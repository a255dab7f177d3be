"""The training data → why lanes can't train on them, if they can't.

In: the data arguments of ``Model.fit``. Out: the reason in words, or an error where no engine can train on
them.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

from fairlane.engines.eligibility import sparse_reason
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
    return sparse_reason(x, arguments)
