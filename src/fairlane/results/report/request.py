"""A study's request → names and texts.

In: the records of a study, and where it comes from. Out: pairs of a name and a text: variants, seeds, data,
arguments of ``fit``, versions, machines, and the program text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairlane.provenance.origin import Origin
from fairlane.results.report.values import MOST, listed, ranges, time_of
from fairlane.store import Record
from fairlane.trials import Site

_NOT_RECORDED = "not recorded"


def requested(
    records: Sequence[Record], origin: Origin, names: Sequence[str], cells: Mapping[int, Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """The request, as pairs of a name and a text.

    Args:
        records: the trials' records.
        origin: where the study comes from.
        names: the hyperparameters' names.
        cells: variant's number → its hyperparameters, as a column has them.
    """
    yield "Variants", str(len(cells))
    for name in names:
        values = dict.fromkeys(str(_shown(cell[name])) for cell in cells.values() if name in cell)
        yield name, listed(list(values), MOST)
    seeds = sorted({record.trial.seed for record in records})
    yield "Seeds", ranges(seeds)
    folds = sorted({record.trial.fold for record in records if record.trial.fold is not None})
    if folds:
        yield "Folds", ranges(folds)
    if origin.epochs is not None and "epochs" not in names:
        yield "Epochs", str(origin.epochs)
    for key, value in _flat(origin.spec.get("search", {})):
        yield f"Search, {key}", "; ".join(value.splitlines())
    for key, value in _flat(origin.spec.get("data", {})):
        yield f"Data, {key}", value
    for key, value in _flat(origin.spec.get("arguments", {})):
        yield f"fit, {key}", value
    if origin.spec.get("callbacks") == "none":
        yield "Callbacks", "none"
    yield from origin.versions.items()
    yield from _sites(origin.sites)
    if origin.created is not None:
        yield "Started", time_of(origin.created)


def _sites(sites: Sequence[Site]) -> Iterator[tuple[str, str]]:
    """All machines and commits; a study that was continued elsewhere shows both."""
    machines = [site.machine or _NOT_RECORDED for site in sites]
    commits = [site.commit or ("none" if site.machine else _NOT_RECORDED) for site in sites]
    for name, texts in (("Machine", machines), ("Commit", commits)):
        yield name, listed(list(dict.fromkeys(texts)), MOST, "; then ") or "nothing is trained yet"


def sources(origin: Origin) -> Iterator[tuple[str, str]]:
    """The program text of the model and the callbacks, each with a title.

    Args:
        origin: where the study comes from.
    """
    for title, name in (("Model", "model"), ("Callbacks", "callbacks")):
        read = origin.spec.get(name)
        if isinstance(read, Mapping) and read:
            texts = {
                key: value if isinstance(value, str) else json.dumps(value, indent=1)
                for key, value in read.items()
            }
            yield title, "\n\n".join(f"# {key}\n{text}" for key, text in texts.items())


def _flat(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Nested dicts as names and texts."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{where}, {key}" if where else str(key))
    else:
        yield where, str(value)


def _shown(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
