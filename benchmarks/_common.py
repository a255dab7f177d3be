"""What the benchmarks share: the machine, workers in processes of their own, tables and CSV.

A script names its jobs; each job is run by the same script in a fresh process (``--worker
NAME``), which prints one JSON line. This module imports neither Keras nor any peer.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.markup import escape
from rich.table import Table

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
# Where TensorFlow is installed, Keras imports it on any backend (in set_random_seed): seconds and
# hundreds of MB that a user of another backend need not pay. This folder hides it from the others.
HIDDEN = str(HERE / "_hidden")
ALL_PEERS = ("keras-jax", "keras-tensorflow", "keras-torch", "keras-tuner", "ray-tune", "fairlane")
PACKAGES = (
    "fairlane",
    "keras",
    "jax",
    "jaxlib",
    "tensorflow-cpu",
    "tensorflow",
    "torch",
    "keras-tuner",
    "ray",
    "numpy",
    "scikit-learn",
)
QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "PYTHONWARNINGS": "ignore",
    # What is compiled is on the clock, so nobody finds it compiled.
    "FAIRLANE_CACHE": "off",
}

Row = dict[str, Any]
Worker = Callable[[str, dict[str, Any]], dict[str, Any]]
console = Console(width=None if sys.stdout.isatty() else 140)


@dataclass(frozen=True)
class Job:
    """One thing to measure: a case, the peer that runs it, and the parameters its worker gets."""

    case: str
    worker: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


# ----------------------------------------------------------------------------------------- command


def parser(doc: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has; the two that workers need are hidden."""
    result = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--repeat", type=int, default=1, help="rounds; medians are shown")
    result.add_argument("--only", help="NAME,NAME: run these peers only")
    result.add_argument("--quick", action="store_true", help="a smoke run, no measurement")
    result.add_argument("--timeout", type=float, default=3600.0, help="seconds per worker")
    result.add_argument("--worker", help=argparse.SUPPRESS)
    result.add_argument("--parameters", default="{}", help=argparse.SUPPRESS)
    return result


def served(options: argparse.Namespace, worker: Worker) -> bool:
    """If this process is a worker: do its work, print its one JSON line, and say so."""
    if not options.worker:
        return False
    result = worker(options.worker, json.loads(options.parameters))
    print("\n" + json.dumps(result), flush=True)
    return True


def chosen(options: argparse.Namespace, names: Sequence[str]) -> list[str]:
    """The names that ``--only`` leaves."""
    if not options.only:
        return list(names)
    wanted = options.only.split(",")
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise SystemExit(f"unknown: {', '.join(unknown)}; there are {', '.join(names)}")
    return [name for name in names if name in wanted]


def result_name(name: str, options: argparse.Namespace) -> str:
    """The stem of the result files; a smoke run and a partial one never replace the real thing."""
    if options.quick:
        return f"{name}.quick"
    return f"{name}.partial" if options.only else name


# ----------------------------------------------------------------------------------------- workers


def run_jobs(script: str, jobs: Sequence[Job], options: argparse.Namespace) -> list[Row]:
    """Run every job ``--repeat`` times, the peers interleaved, each in a process of its own."""
    rows = []
    for repeat in range(options.repeat):
        for number, job in enumerate(jobs, start=1):
            label = f"{job.case}: {job.worker}"
            console.print(
                f"[dim]round {repeat + 1}/{options.repeat} {number}/{len(jobs)} {label} ...[/dim]",
                end=" ",
                highlight=False,
            )
            result = run_worker(script, job, options.timeout)
            rows.append({"case": job.case, "worker": job.worker, "repeat": repeat, **result})
            note = result.get("error") or f"{result['seconds']:.2f} s"
            console.print(f"[dim]{escape(note)}[/dim]", highlight=False)
    return rows


def run_worker(script: str, job: Job, timeout: float) -> Row:
    """One job in a fresh process; a failure or a timeout is a row with an ``error``."""
    command = [sys.executable, str(Path(script).resolve()), "--worker", job.worker]
    command += ["--parameters", json.dumps(dict(job.parameters))]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment(job.worker), text=True)
        peak, timed_out = _watch(process, timeout)
        out.seek(0)
        err.seek(0)
        lines = [line for line in out.read().splitlines() if line.startswith("{")]
        errors = [line.strip() for line in err.read().splitlines() if line.strip()]
    if timed_out:
        return {"error": f"no end after {timeout:.0f} s"}
    if process.returncode or not lines:
        return {"error": errors[-1][:300] if errors else f"exit status {process.returncode}"}
    result: Row = json.loads(lines[-1])
    result["peak_rss_mb"] = max(peak, result.get("peak_rss_mb", 0.0))
    return result


def environment(worker: str) -> dict[str, str]:
    """The worker's environment: its backend, and the libraries' chatter off."""
    backend = next((name for name in ("tensorflow", "torch") if worker.endswith(f"-{name}")), "jax")
    result = {**os.environ, **QUIET, "KERAS_BACKEND": backend}
    if backend != "tensorflow":
        result["PYTHONPATH"] = os.pathsep.join(filter(None, [HIDDEN, os.environ.get("PYTHONPATH")]))
    return result


def _watch(process: subprocess.Popen[str], timeout: float) -> tuple[float, bool]:
    """Wait for the worker; the peak of its tree's summed RSS in MB, and if it timed out."""
    peak, end = 0.0, time.monotonic() + timeout
    while True:
        try:
            process.wait(0.25)
            return peak, False
        except subprocess.TimeoutExpired:
            pass
        family = _family(process.pid)
        peak = max(peak, sum(_rss_mb(member) for member in family))
        if time.monotonic() > end:
            for member in reversed(family):
                _kill(member)
            process.wait()
            return peak, True


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []


def _rss_mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 2**20
    except psutil.Error:
        return 0.0


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.Error):
        process.kill()


# ------------------------------------------------------------------------------------- comparisons


def mean_final(row: Row, name: str) -> float | None:
    """The mean over the trials of a log of the last epoch."""
    values = [o["final"][name] for o in row.get("outcomes", []) if name in o["final"]]
    return statistics.fmean(values) if values else None


def largest_difference(row: Row, other: Row, epochs: int = 1) -> float | None:
    """The largest relative difference of the first epochs' logs, over the trials that both ran."""
    theirs = {_key(o): o for o in other.get("outcomes", [])}
    pairs = [(o, theirs[_key(o)]) for o in row.get("outcomes", []) if _key(o) in theirs]
    differences = [
        abs(value - b[name]) / max(abs(b[name]), 1e-12)
        for mine, their in pairs
        for a, b in zip(mine["first"][:epochs], their["first"][:epochs], strict=False)
        for name, value in a.items()
        if name in b
    ]
    return max(differences, default=None)


def _key(outcome: Mapping[str, Any]) -> tuple[Any, ...]:
    return (*sorted(outcome["hyperparameters"].items()), outcome["seed"])


def engines(row: Row) -> str:
    """The engines and loops that Fairlane used, such as ``lanes vmap×8``."""
    used = {f"{o.get('engine', '')} {o.get('loop', '')}".strip() for o in row.get("outcomes", [])}
    return ", ".join(sorted(used - {""}))


def flat(row: Row, baseline: Row | None = None) -> Row:
    """A row for the CSV: what was measured, without the outcomes of the single trials."""
    result = {k: v for k, v in row.items() if k != "outcomes"}
    if "seconds" in row:
        model_epochs = row["trials"] * row["epochs"]
        result["ms_per_model_epoch"] = 1e3 * row["seconds"] / model_epochs
    result["mean_final_loss"] = mean_final(row, "loss")
    result["mean_final_val_loss"] = mean_final(row, "val_loss")
    result["engines"] = engines(row)
    if baseline is not None:
        result["first_epoch_difference"] = largest_difference(row, baseline)
    return result


def first_row(rows: Iterable[Row], case: str, worker: str) -> Row | None:
    """The first row of a case and worker that did not fail."""
    found = (r for r in rows if r["case"] == case and r["worker"] == worker and "seconds" in r)
    return next(found, None)


def median_of(rows: Iterable[Row], name: str) -> float | None:
    """The median of a value over the rows that have it."""
    values = [r[name] for r in rows if r.get(name) is not None]
    return statistics.median(values) if values else None


# ----------------------------------------------------------------------------------------- reports


def report(
    name: str,
    title: str,
    rows: list[Row],
    options: argparse.Namespace,
    same: Sequence[str] = ("keras-jax", "keras-tuner", "ray-tune", "fairlane"),
    base: str = "fairlane",
    **about: Any,
) -> list[Row]:
    """Print a table per case with ratios to ``base``, and write the CSV and the machine.

    Workers in ``same`` train the very same numbers as the first of them, so their first epochs are
    compared; the other backends draw other random numbers.
    """
    flats = [flat(r, first_row(rows, r["case"], same[0]) if r["worker"] in same else None) for r in rows]
    for case in dict.fromkeys(r["case"] for r in rows):
        _print_case(f"{title}: {case}", [r for r in flats if r["case"] == case], base, same[0])
    write(result_name(name, options), flats, options=plain(options), **about)
    return flats


def _print_case(title: str, rows: list[Row], base: str, reference: str) -> None:
    base_seconds = median_of([r for r in rows if r["worker"] == base], "seconds")
    compared = any(r.get("first_epoch_difference") is not None for r in rows)
    columns = ["worker", "seconds", f"× {base}", "processor s", "ms per model-epoch", "peak RSS MB"]
    columns += ["mean final loss", "mean final val_loss"]
    columns += [f"first epoch vs {reference}"] if compared else []
    table = new_table(title, columns)
    for worker in dict.fromkeys(r["worker"] for r in rows):
        mine = [r for r in rows if r["worker"] == worker]
        seconds = median_of(mine, "seconds")
        if seconds is None:
            table.add_row(worker, "failed")
            continue
        cells = [
            number(seconds, ".2f"),
            number(seconds / base_seconds, ".2f") if base_seconds else "–",
            number(median_of(mine, "processor_seconds"), ".2f"),
            number(median_of(mine, "ms_per_model_epoch"), ".2f"),
            number(median_of(mine, "peak_rss_mb"), ".0f"),
            number(median_of(mine, "mean_final_loss"), ".4f"),
            number(median_of(mine, "mean_final_val_loss"), ".4f"),
            number(median_of(mine, "first_epoch_difference"), ".1e"),
        ]
        note = ", ".join(dict.fromkeys(r["engines"] for r in mine if r["engines"]))
        label = f"{worker} ({note})" if note else worker
        table.add_row(label, *cells[: len(columns) - 1])
    console.print(table)
    print_failures(rows)


def print_failures(rows: Iterable[Row]) -> None:
    """Say which runs failed, and why."""
    for row in rows:
        if row.get("error"):
            text = f"{row['worker']} failed ({row['case']}): {row['error']}"
            console.print(escape(text), highlight=False)


def new_table(title: str, columns: Sequence[str]) -> Table:
    """A table whose first column is text and whose others are numbers."""
    table = Table(title=title, title_justify="left")
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position else "left", overflow="fold")
    return table


def number(value: float | None, form: str) -> str:
    """A number for a table, or a dash."""
    return "–" if value is None or not math.isfinite(value) else format(value, form)


def write(name: str, rows: Sequence[Row], **about: Any) -> None:
    """Write ``results/NAME.csv`` and, beside it, ``results/NAME.machine.json``."""
    RESULTS.mkdir(exist_ok=True)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with (RESULTS / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    text = json.dumps(machine() | about, indent=2, ensure_ascii=False)
    (RESULTS / f"{name}.machine.json").write_text(text + "\n")
    console.print(f"written: benchmarks/results/{name}.csv", highlight=False)


def plain(options: argparse.Namespace) -> dict[str, Any]:
    """The options of this run, without paths of this machine."""
    hidden = {"worker", "parameters", "data"}
    return {k: v for k, v in vars(options).items() if k not in hidden}


# ----------------------------------------------------------------------------------------- machine


def machine() -> dict[str, Any]:
    """What a reader needs in order to judge the numbers."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "os": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: v for name in PACKAGES if (v := _version(name))},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    try:
        commit = _git("rev-parse", "HEAD")
        return commit + (" with changes" if _git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(HERE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
