"""Records → the facts of a report, as plain data.

In: the records of a study, where it comes from, and a metric. Out: a dict of JSON data. A value that is NaN
or infinite is one of the texts ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``; what was not logged is None.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import numpy as np
import pandas as pd

from fairlane.provenance.origin import Origin
from fairlane.results import frames
from fairlane.results.directions import Modes, check_mode, direction
from fairlane.results.plots.lines import FEWEST_FOR_A_BAND
from fairlane.results.report.verdict import Verdict, verdict
from fairlane.store import Record
from fairlane.trials import Site, TrialState, short

FORMAT = 2
"""Of the facts; it grows when a page for older ones could not show them."""

_DIGITS = 6
_LONGEST = 20_000
"""Characters of a text that are shown."""
_MOST = 12
"""Items of a list in words."""
_LARGEST = 2**53
"""Larger integers are not exact in JavaScript."""
_CONFIDENCE = 0.95
"""Of the bands, as of the figures'."""
_NOT_KEPT = "not kept with the study"

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
    """All that a report tells of a study.

    Args:
        records: the trials' records.
        origin: where the study comes from.
        name: the study's, or None.
        metric: what to judge by: a log's name, or one of the test data; by default that of summaries.
        mode: whether small or large values are better, see `fairlane.results.directions.direction`.

    Returns:
        ``format``, ``title``, ``counts`` (in words), ``written`` (a time of UTC), ``version`` of Fairlane,
        ``verdict`` (``sentence``, ``notes``, ``metric``, and ``when``, the epoch in words), ``asked`` (pairs
        of a name and a text), ``sources`` (the same, of program text), ``hyperparameters`` (names),
        ``variants`` (with ``counted``, the trials of their mean curves, and ``means``, those curves with
        their intervals), ``confidence`` of these, ``metrics`` (``name``, ``training`` and ``validation``
        logs), ``tests`` (names), ``compared`` (a row per variant, the best first), ``trials``, ``errors``
        (those that are alike together), ``unended`` (a sentence on trials that are still to end, or empty),
        and ``unusual`` (sentences).

    Raises:
        StudyError: trials have logs, and none of them is called so; or it is not known whether small or large
            values of it are better.
    """
    records = list(records)
    names, cells = frames.named_cells(records)
    tests = [
        test for test in frames.test_metrics(records) if _is_single(test, (r.test_logs for r in records))
    ]
    logs = [log for log in frames.ordered_logs(records) if _is_single(log, _epochs(records))]
    known = [*frames.ordered_logs(records), *frames.test_metrics(records)]
    if metric and known and metric not in known and any(record.epochs for record in records):
        raise frames.unknown_metric(metric, known)
    check_mode(mode, known or None)
    metric = metric or frames.default_metric(records)
    direction(metric, mode, frames.known_directions(records))
    found = verdict(records, metric, mode)
    labels = {record.trial.variant.number: record.trial.variant.label for record in records}
    counted = _counted(records)
    means = _means(counted, logs)
    return {
        "format": FORMAT,
        "title": f"Study {name}" if name else "Study",
        "counts": _counts(records, len(labels)),
        "written": _time(datetime.now(UTC).timestamp()),
        "version": metadata.version("fairlane"),
        "verdict": {
            "sentence": found.sentence,
            "notes": list(found.notes),
            "metric": metric,
            "when": _when(found),
        },
        "asked": [[key, _cut(text)] for key, text in _asked(records, origin, names, cells)],
        "sources": [[key, _cut(text)] for key, text in _sources(origin)],
        "hyperparameters": names,
        "variants": [
            {
                "number": number,
                "label": labels[number],
                "hyperparameters": [plain(cells[number].get(name)) for name in names],
                "counted": [record.trial.number for record in counted[number]],
                "means": means.get(number),
            }
            for number in sorted(labels)
        ],
        "confidence": _CONFIDENCE,
        "metrics": _metrics(logs),
        "tests": tests,
        "compared": [] if found.table is None else _compared(found.table.to_dict("records")),
        "trials": [_trial(record, logs, tests) for record in records],
        "errors": _errors(records),
        "unended": "".join(_of_some([r for r in records if not r.state.ended], "not ended yet")),
        "unusual": _unusual(records, labels),
    }


def _when(found: Verdict) -> str:
    """The epoch of the values that are compared, in words."""
    return "" if found.table is None else str(found.table.attrs["when"])


# Trials


def _trial(record: Record, logs: Sequence[str], tests: Sequence[str]) -> dict[str, Any]:
    """A trial's row, with its curves."""
    return {
        "number": record.trial.number,
        "variant": record.trial.variant.number,
        "seed": record.trial.seed,
        "state": str(record.state),
        "seconds": plain(round(record.seconds, 3)),
        "engine": record.engine,
        "loop": record.loop,
        "reason": record.reason,
        "error": _cut(record.error),
        "epochs": [epoch for epoch, _ in record.epochs],
        "weights_epoch": record.weights_epoch,
        "curves": [[plain(of_epoch.get(log)) for _, of_epoch in record.epochs] for log in logs],
        "tests": [plain(record.test_logs.get(test)) for test in tests],
    }


def _counted(records: Sequence[Record]) -> dict[int, list[Record]]:
    """Variant's number → the trials of its mean curves: the finished, or till then those in training."""
    of_variant: dict[int, list[Record]] = {}
    for record in records:
        of_variant.setdefault(record.trial.variant.number, []).append(record)
    return {number: _counting(some) for number, some in of_variant.items()}


def _counting(records: Sequence[Record]) -> list[Record]:
    begun = [record for record in records if record.epochs]
    for state in (TrialState.DONE, TrialState.RUNNING):
        if found := [record for record in begun if record.state is state]:
            return found
    return begun


def _means(counted: Mapping[int, Sequence[Record]], logs: Sequence[str]) -> dict[int, dict[str, Any]]:
    """Of each variant with several trials that count, the mean curves over them, and their intervals.

    As in figures: a mean is a gap where a trial lacks the value, and of two trials there are no intervals.
    """
    several = {number: some for number, some in counted.items() if len(some) > 1}
    rows = [
        (number, record.trial.number, epoch, *(_number(of_epoch.get(log)) for log in logs))
        for number, some in several.items()
        for record in some
        for epoch, of_epoch in record.epochs
    ]
    columns = [str(i) for i in range(len(logs))]
    frame = pd.DataFrame(rows, columns=["number", "trial", "epoch", *columns])
    if frame.empty or not columns:
        return {}
    curves = frames.over_seeds(frame, ["number"], columns, _CONFIDENCE)
    of_variant = zip(*(curve.groupby("variant", sort=True) for curve in curves), strict=True)
    found: dict[int, dict[str, Any]] = {}
    for (number, some), ((_, mean), (_, low), (_, high)) in zip(several.items(), of_variant, strict=True):
        told = {"epochs": mean["epoch"].tolist(), "values": _columns(mean, columns)}
        if len(some) >= FEWEST_FOR_A_BAND:
            told |= {"low": _columns(low, columns), "high": _columns(high, columns)}
        found[number] = told
    return found


def _columns(frame: pd.DataFrame, names: Sequence[str]) -> list[list[float | None]]:
    """Each column's values, None where there is none."""
    columns = frame[names].to_numpy(dtype=float).T.tolist()
    return [[plain(value) if math.isfinite(value) else None for value in column] for column in columns]


def _number(value: Any) -> float:
    """A logged value that can be averaged, or NaN."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def _errors(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Each error once, with the numbers of the trials that it ended."""
    found: dict[tuple[str, str, str], list[int]] = {}
    for record in records:
        if record.error:
            kind = (str(record.state), _cut(record.error), _cut(record.traceback))
            found.setdefault(kind, []).append(record.trial.number)
    return [
        {"state": state, "text": text, "traceback": traceback, "trials": numbers}
        for (state, text, traceback), numbers in found.items()
    ]


def _epochs(records: Iterable[Record]) -> Iterator[Mapping[str, Any]]:
    return (logs for record in records for _, logs in record.epochs)


def _is_single(log: str, rows: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a log is always one number; only such have curves."""
    return all(np.ndim(row[log]) == 0 for row in rows if log in row)


def _metrics(logs: Sequence[str]) -> list[dict[str, Any]]:
    """The metrics, with the places of their training and validation values among the logs."""
    bare = dict.fromkeys(log.removeprefix("val_") for log in logs)
    place = {log: i for i, log in enumerate(logs)}
    return [
        {"name": name, "training": place.get(name), "validation": place.get(f"val_{name}")} for name in bare
    ]


def _compared(rows: Sequence[Mapping[Any, Any]]) -> list[dict[str, Any]]:
    """The summary's rows; what can't be told is None."""
    told: list[dict[str, Any]] = []
    for row in rows:
        values = {name: plain(row[name]) for name in _COMPARED}
        told.append({name: None if value == "NaN" else value for name, value in values.items()})
    return told


def plain(value: Any) -> Any:
    """A hyperparameter or logged value as JSON has it.

    Args:
        value: a number, a text, None, or anything else, of which a short text is left.

    Example:
        >>> plain(0.123456789), plain(float("nan")), plain(None), plain(2**60)
        (0.123457, 'NaN', None, '1152921504606846976')
    """
    value = value.item() if isinstance(value, np.generic) or getattr(value, "ndim", None) == 0 else value
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST else str(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(f"{value:.{_DIGITS}g}")
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return short(value)


# What was asked


def _asked(
    records: Sequence[Record], origin: Origin, names: Sequence[str], cells: Mapping[int, Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    yield "Variants", str(len(cells))
    for name in names:
        values = dict.fromkeys(str(_shown(cell[name])) for cell in cells.values() if name in cell)
        yield name, _listed(list(values))
    seeds = sorted({record.trial.seed for record in records})
    yield "Seeds", _ranges(seeds)
    if origin.epochs is not None and "epochs" not in names:
        yield "Epochs", str(origin.epochs)
    for key, value in _flat(origin.spec.get("data", {})):
        yield f"Data, {key}", value
    for key, value in _flat(origin.spec.get("arguments", {})):
        yield f"fit, {key}", value
    if origin.spec.get("callbacks") == "none":
        yield "Callbacks", "none"
    yield from origin.versions.items()
    yield from _sites(origin.sites)
    if origin.created is not None:
        yield "Begun", _time(origin.created)


def _sites(sites: Sequence[Site]) -> Iterator[tuple[str, str]]:
    """All machines and commits; a study that was gone on with elsewhere does not hide it."""
    machines = [site.machine or _NOT_KEPT for site in sites]
    commits = [site.commit or ("none" if site.machine else _NOT_KEPT) for site in sites]
    for name, texts in (("Machine", machines), ("Commit", commits)):
        yield name, _listed(list(dict.fromkeys(texts)), "; then ") or "nothing was trained yet"


def _sources(origin: Origin) -> Iterator[tuple[str, str]]:
    for title, section in (("Model", "model"), ("Callbacks", "callbacks")):
        told = origin.spec.get(section)
        if isinstance(told, Mapping) and told:
            texts = {
                key: value if isinstance(value, str) else json.dumps(value, indent=1)
                for key, value in told.items()
            }
            yield title, "\n\n".join(f"# {key}\n{text}" for key, text in texts.items())


def _flat(told: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Nested dicts as names and texts."""
    if isinstance(told, Mapping):
        for key, value in told.items():
            yield from _flat(value, f"{where}, {key}" if where else str(key))
    else:
        yield where, str(told)


def _shown(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending integers in words: ``0 to 4, 7``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [", ".join(map(str, run)) if len(run) < 3 else f"{run[0]} to {run[-1]}" for run in runs]
    return _listed(texts)


# What was unusual


def _unusual(records: Sequence[Record], labels: Mapping[int, str]) -> list[str]:
    """A sentence for each thing that is not as it is in most studies."""
    return [
        *_of_states(records),
        *_off_lanes(records),
        *_untested(records),
        *_unpaired(records, labels),
    ]


def _of_states(records: Sequence[Record]) -> Iterator[str]:
    words = {
        TrialState.DIVERGED: "diverged: the training loss became NaN or infinite",
        TrialState.FAILED: "failed with an error",
        TrialState.INTERRUPTED: "interrupted: the epochs before it are shown",
    }
    for state, said in words.items():
        yield from _of_some([r for r in records if r.state is state], said)


def _of_some(records: Sequence[Record], said: str) -> Iterator[str]:
    if records:
        numbers = _ranges([record.trial.number for record in records])
        trials = "trial" if len(records) == 1 else "trials"
        yield f"{len(records)} {trials} {said} ({trials} {numbers})."


def _off_lanes(records: Sequence[Record]) -> Iterator[str]:
    by_reason: dict[str, list[Record]] = {}
    for record in records:
        if record.reason:
            by_reason.setdefault(record.reason, []).append(record)
    for reason, some in by_reason.items():
        yield from _of_some(some, f"trained one after another instead of on lanes, because {reason}")


def _untested(records: Sequence[Record]) -> Iterator[str]:
    failed = [r for r in records if r.state is TrialState.DONE and r.error]
    yield from _of_some(failed, f"not evaluated on the test data: {failed[0].error}" if failed else "")


def _unpaired(records: Sequence[Record], labels: Mapping[int, str]) -> Iterator[str]:
    """Seeds that some variants have a finished trial of, and others don't, though their trials have ended."""
    done: dict[int, set[int]] = {record.trial.seed: set() for record in records}
    for record in records:
        if record.state is TrialState.DONE:
            done[record.trial.seed].add(record.trial.variant.number)
    running = {record.trial.seed for record in records if not record.state.ended}
    counting = set().union(*done.values())
    alike: dict[tuple[int, ...], list[int]] = {}
    for seed in sorted(done):
        lacking = tuple(sorted(counting - done[seed]))
        if lacking and done[seed] and seed not in running:
            alike.setdefault(lacking, []).append(seed)
    for lacking, seeds in alike.items():
        said = f"Seed {seeds[0]} is" if len(seeds) == 1 else f"Seeds {_ranges(seeds)} are"
        whose = _listed([labels[number] for number in lacking], "; ")
        yield f"{said} unpaired, with no finished trial of {whose}: left out of differences to it."


# Words


def _counts(records: Sequence[Record], variants: int) -> str:
    states = [record.state for record in records]
    counts = ", ".join(f"{states.count(state)} {state}" for state in TrialState if states.count(state))
    told = f"{_plural(len(records), 'trial')} of {_plural(variants, 'variant')}"
    return f"{told}: {counts}" if counts else told


def _listed(texts: Sequence[str], between: str = ", ") -> str:
    more = f" and {len(texts) - _MOST} more" if len(texts) > _MOST else ""
    return between.join(texts[:_MOST]) + more


def _cut(text: str) -> str:
    more = len(text) - _LONGEST
    return f"{text[:_LONGEST]}\n... and {more} more characters" if more > 0 else text


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _plural(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
