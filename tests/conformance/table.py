"""Writes ``docs/conformance.md``: every case, the engine that ran it, and the largest difference found.

FAIRLANE_CONFORMANCE=folder python -m pytest -n 2 tests/conformance
python tests/conformance/table.py folder
"""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"

HEAD = """# Conformance

`fairlane.compare` trains what `Model.fit` trains, with the same result. Each case is a model, data and
arguments of `fit`, with two learning rates as two lanes of one program. It is trained on lanes and on the
reference engine, for three epochs with validation. The last two columns are the largest
differences: relative, for any value in the logs; absolute, for any weight after the first epoch.
`scan×2` is one program for both lanes; `scan×1`, for convolutions on a CPU, runs the lanes in it one after the other.

{count} cases, {lanes} of them on lanes. Written by `tests/conformance/table.py` from a run of the suite with
{versions}. The suite requires 1e-5 of both, unless a row gives a reason.
It also passes with keras 3.13.2 and jax 0.7.2, the oldest that Fairlane declares (run on 2026-11-23); one case
is left out there, because that Keras version trains it to NaN on its own. On an NVIDIA H100 (keras 3.15.1, jax 0.11.2, float32
matrix products as JAX's precision "highest"; run on 2026-11-26) 152 passed, with differences of at most 4e-7; LSTM
and Bidirectional did not run on lanes there, because Keras used cuDNN's kernels, which can't be vectorised. Lanes no
longer use these kernels.
"""


def main(folder: str) -> None:
    """Read what the suite noted, and write the page."""
    lines = [line for file in Path(folder).glob("*.jsonl") for line in file.read_text().splitlines()]
    rows = list({(row["family"], row["case"]): row for row in map(json.loads, lines)}.values())
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("keras", "jax"))
    lanes = sum(row["engine"] == "lanes" for row in rows)
    parts = [HEAD.format(count=len(rows), lanes=lanes, versions=versions)]
    for family, members in itertools.groupby(rows_in_order(rows), key=lambda row: row["family"]):
        parts.append(
            f"## {family[0].upper()}{family[1:]}\n\n| case | engine | logs | weights |\n|---|---|--:|--:|\n"
        )
        parts[-1] += "\n".join(map(line_of, members)) + "\n"
    PAGE.write_text("\n".join(parts))


def rows_in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As in ``cases.py``."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import fairlane  # noqa: F401 - chooses Keras's backend
    from conformance.cases import CASES

    place = {(case.family, case.name): i for i, case in enumerate(CASES)}
    families = {family: i for i, family in enumerate(dict.fromkeys(case.family for case in CASES))}
    return sorted(rows, key=lambda row: (families[row["family"]], place[row["family"], row["case"]]))


def line_of(row: dict[str, Any]) -> str:
    """A row of the table."""
    engine = f"{row['engine']} {row['loop']}".strip() + (f": {row['reason']}" if row["reason"] else "")
    why = f" ({row['why']})" if row["why"] and max(row["logs"], row["weights"]) > 1e-5 else ""
    return f"| {row['case']}{why} | {engine} | {row['logs']:.0e} | {row['weights']:.0e} |"


if __name__ == "__main__":
    main(*sys.argv[1:])
