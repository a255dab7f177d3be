"""A study → a file of rows, for other programs.

In: a `Study`. Out: CSV, JSON lines or Parquet. A file is written completely, or not at all.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairlane.errors import StudyError
from fairlane.kit.extras import needed
from fairlane.kit.files import write_whole
from fairlane.results.cells import encodable
from fairlane.results.directions import Modes
from fairlane.results.study import Study

FRAMES: dict[str, Callable[..., pd.DataFrame]] = {
    "history": lambda study, **_: study.history,
    "long": lambda study, **_: study.to_frame(long=True),
    "trials": lambda study, **_: study.trials,
    "summary": lambda study, **options: study.summary(**options, detail=True),
}
"""What can be exported."""

FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
"""The end of a file's name → its format."""


def export(
    study: Study,
    path: str | os.PathLike[str],
    what: str = "history",
    form: str | None = None,
    metric: str | None = None,
    mode: Modes = "auto",
) -> int:
    """Write one of a study's frames to a file.

    Args:
        study: the study.
        path: the file; an existing one is replaced.
        what: ``"history"``, ``"long"``, ``"trials"`` or ``"summary"``.
        form: ``"csv"``, ``"jsonl"`` or ``"parquet"``; by default from the end of the file's name. JSON can't
            express NaN and infinite values, which are ``null`` there. UTF-8 can't express halves of surrogate
            pairs, which are written as ``\\udc80`` in all three.
        metric: for the summary, as for `Study.summary`.
        mode: for the summary, as for `Study.summary`.

    Returns:
        How many rows were written.

    Raises:
        StudyError: an unknown frame or format, or there is no folder for the file.
        StoreError: Parquet needs a package that is not installed.
    """
    path = Path(path)
    if what not in FRAMES:
        raise StudyError(f"what must be one of {', '.join(map(repr, FRAMES))}, not {what!r}")
    form = form or FORMATS.get(path.suffix.lower())
    if form not in _WRITERS:
        formats = ", ".join(map(repr, _WRITERS))
        raise StudyError(f"the format must be one of {formats}, not {form or path.suffix!r}")
    write, frame = _WRITERS[form], FRAMES[what](study, metric=metric, mode=mode)
    write_whole(path, lambda part: write(frame, part))
    return len(frame)


def _csv(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False, errors="backslashreplace")


def _jsonl(frame: pd.DataFrame, path: Path) -> None:
    names = list(frame.columns)
    with path.open("w", encoding="utf-8") as file:
        for row in frame.itertuples(index=False, name=None):
            values = dict(zip(names, map(_for_json, row), strict=True))
            file.write(json.dumps(values, allow_nan=False) + "\n")


def _for_json(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_for_json(item) for item in value.tolist()]
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value if isinstance(value, str | int | float | bool) else str(value)


def _parquet(frame: pd.DataFrame, path: Path) -> None:
    needed("pyarrow", "writing Parquet")
    columns = {encodable(str(name)): _of_one_type(frame[name]) for name in frame.columns}
    pd.DataFrame(columns).to_parquet(path, index=False)


def _of_one_type(column: pd.Series) -> pd.Series:
    """A column for Parquet: values of several types, and numbers too large for it, become text."""
    types = pd.api.types
    if types.is_complex_dtype(column.dtype):  # a type that Parquet lacks
        return column.map(str)
    if types.is_numeric_dtype(column.dtype) or types.is_datetime64_any_dtype(column.dtype):
        return column
    given = [value for value in column if not _is_missing(value)]
    kinds = {type(value) for value in given}
    large = any(isinstance(value, int) and not -(2**63) <= value < 2**63 for value in given)
    if len(kinds) <= 1 and not large and kinds != {str}:
        return column
    return column.map(lambda value: None if _is_missing(value) else encodable(str(value)))


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


_WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "parquet": _parquet,
}
