"""Records → the facts of a report, as plain data.

In: the records of a study, where it comes from, and a metric. Out: a dict of JSON data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, cast

from fairlane.kit.text import plural
from fairlane.provenance.origin import Origin
from fairlane.results.cells import named_cells
from fairlane.results.directions import Modes, check_mode, direction, find_direction
from fairlane.results.folds import share_of
from fairlane.results.logs import (
    default_metric,
    known_directions,
    ordered_logs,
    test_metrics,
    unknown_metric,
)
from fairlane.results.report.curves import (
    CONFIDENCE,
    counted_trials,
    epochs_of,
    is_single,
    mean_curves,
    panels,
    trial_row,
)
from fairlane.results.report.importance import importance_of
from fairlane.results.report.request import requested, sources
from fairlane.results.report.searches import search_of
from fairlane.results.report.unusual import of_some, unusual
from fairlane.results.report.values import plain, shortened, time_of
from fairlane.results.report.verdict import verdict
from fairlane.results.searched import counting, objective, searching, which_count
from fairlane.store import Note, Record, Records
from fairlane.trials import TrialState

FORMAT = 4
"""The version of the facts; it grows when a page for the older facts can't show them."""

_COMPARED = (
    *("variant", "seeds", "failed", "unfinished", "mean", "low", "high"),
    *("difference", "difference_low", "difference_high", "pairs", "probability", "p_value"),
)


def facts_of(
    records: Iterable[Record],
    origin: Origin,
    name: str | None,
    metric: str | None = None,
    mode: Modes = "auto",
) -> dict[str, Any]:
    """All that a report shows of a study.

    Args:
        records: the trials' records.
        origin: where the study comes from.
        name: the study's, or None.
        metric: the metric to rank by: a log's name, or one of the test data; by default that of summaries.
        mode: whether small or large values are better, see `fairlane.results.directions.direction`.

    Returns:
        ``format``, ``title``, ``counts`` (in words), ``written`` (a time of UTC), ``version`` of Fairlane,
        ``verdict`` (``sentence``, ``notes``, ``metric``, and ``when``, the epoch in words), ``requested``
        (pairs of a name and a text), ``sources`` (pairs of a name and program text), ``hyperparameters``
        (names), ``variants`` (with ``counted``, the trials of their mean curves, and ``means``, those curves
        with their intervals), ``confidence`` of the intervals, ``metrics`` (``name``, ``training`` and
        ``validation`` logs), ``tests`` (names), ``compared`` (a row per variant, the best first), ``trials``,
        ``errors`` (equal ones together), ``unended`` (a sentence about trials that have not ended, or empty),
        ``unusual`` (sentences), ``search`` (as `fairlane.results.report.searches.search_of` gives it),
        ``notes`` (``variant``, None for that about the study, ``text`` and ``tags``), ``share`` (validation
        samples per training sample of the folds, or None), and ``importance`` (as
        `fairlane.results.report.importance.importance_of` gives it).

    Raises:
        StudyError: trials have logs, but none of this name; or it is not known whether its small or large
            values are better.
    """
    counted = counting(records) if isinstance(records, Records) else list(records)
    share = share_of(records) if isinstance(records, Records) else None
    which = which_count(records) if isinstance(records, Records) else ""
    searched = objective(records) if isinstance(records, Records) else None
    search, own = search_of(records), searching(records) if isinstance(records, Records) else list(records)
    if searched is not None and metric in (None, searched[0]):
        metric, mode = searched[0], cast(Modes, searched[1]) if mode == "auto" else mode
    noted = records.noted() if isinstance(records, Records) else {}
    records = list(records)
    metric = _checked_metric(records, metric, mode)
    names, cells = named_cells(records)
    logs = [log for log in ordered_logs(records) if is_single(log, epochs_of(records))]
    tests = [test for test in test_metrics(records) if is_single(test, (r.test_logs for r in records))]
    labels = {record.trial.variant.number: record.trial.variant.label for record in records}
    found = verdict(counted, metric, mode, share)
    return {
        "format": FORMAT,
        "title": f"Study {name}" if name else "Study",
        "counts": _counts(records, len(labels)),
        "written": time_of(datetime.now(UTC).timestamp()),
        "version": metadata.version("fairlane"),
        "verdict": {
            "sentence": found.sentence,
            "notes": [*([f"{which}."] if which else []), *found.notes],
            "metric": metric,
            "when": "" if found.table is None else str(found.table.attrs["when"]),
        },
        "requested": [[key, shortened(text)] for key, text in requested(records, origin, names, cells)],
        "sources": [[key, shortened(text)] for key, text in sources(origin)],
        "hyperparameters": names,
        "variants": _variants(records, labels, names, cells, logs, share),
        "confidence": CONFIDENCE,
        "metrics": panels(logs),
        "directions": _directions(records, panels(logs), metric, mode),
        "tests": tests,
        "compared": [] if found.table is None else _compared(found.table.to_dict("records")),
        "trials": [trial_row(record, logs, tests) for record in records],
        "errors": _errors(records),
        "unended": "".join(of_some([r for r in records if not r.state.ended], "waiting or running")),
        "unusual": unusual(records, labels),
        "search": search,
        "share": share,
        "notes": _notes(noted),
        "importance": importance_of(own, names, metric, mode),
    }


def _notes(noted: Mapping[int | None, Note]) -> list[dict[str, Any]]:
    return [{"variant": number, "text": note.text, "tags": [*note.tags]} for number, note in noted.items()]


def _checked_metric(records: Sequence[Record], metric: str | None, mode: Modes) -> str:
    """The metric to rank by; its name and its direction are known."""
    known = [*ordered_logs(records), *test_metrics(records)]
    if metric and known and metric not in known and any(record.epochs for record in records):
        raise unknown_metric(metric, known)
    check_mode(mode, known or None)
    metric = metric or default_metric(records)
    direction(metric, mode, known_directions(records))
    return metric


def _directions(
    records: Sequence[Record], metrics: Sequence[Mapping[str, Any]], metric: str, mode: Modes
) -> dict[str, str]:
    """Metric → ``"min"`` or ``"max"``, as far as it is known. A logarithmic scale is for the former."""
    known = known_directions(records)
    bare = metric.removeprefix("val_").removeprefix("test_")
    modes = mode if isinstance(mode, Mapping) else {metric: mode, bare: mode}
    found = {one["name"]: find_direction(one["name"], modes, known) for one in metrics}
    return {name: better for name, better in found.items() if better is not None}


def _variants(
    records: Sequence[Record],
    labels: Mapping[int, str],
    names: Sequence[str],
    cells: Mapping[int, Mapping[str, Any]],
    logs: Sequence[str],
    share: float | None,
) -> list[dict[str, Any]]:
    """A row per variant, with its mean curves."""
    counted = counted_trials(records)
    means = mean_curves(counted, logs, share)
    return [
        {
            "number": number,
            "label": labels[number],
            "hyperparameters": [plain(cells[number].get(name)) for name in names],
            "counted": [record.trial.number for record in counted[number]],
            "means": means.get(number),
        }
        for number in sorted(labels)
    ]


def _compared(rows: Sequence[Mapping[Any, Any]]) -> list[dict[str, Any]]:
    """The summary's rows, ``folds`` where there are some; what so few seeds can't say is None."""
    found: list[dict[str, Any]] = []
    for row in rows:
        values = {name: plain(row[name]) for name in (*_COMPARED, "folds") if name in row}
        found.append({name: None if value == "NaN" else value for name, value in values.items()})
    return found


def _errors(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Each error once, with the numbers of its trials."""
    found: dict[tuple[str, str, str], list[int]] = {}
    for record in records:
        if record.error:
            kind = (str(record.state), shortened(record.error), shortened(record.traceback))
            found.setdefault(kind, []).append(record.trial.number)
    return [
        {"state": state, "text": text, "traceback": traceback, "trials": numbers}
        for (state, text, traceback), numbers in found.items()
    ]


def _counts(records: Sequence[Record], variants: int) -> str:
    states = [record.state for record in records]
    counts = ", ".join(f"{states.count(state)} {state}" for state in TrialState if states.count(state))
    all_of_them = f"{plural(len(records), 'trial')} of {plural(variants, 'variant')}"
    return f"{all_of_them}: {counts}" if counts else all_of_them
