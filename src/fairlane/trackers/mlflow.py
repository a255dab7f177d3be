"""MLflow: a run for the study, and in it a run for each trial, written with MLflow's own client.

In: events. Out: runs on a tracking server or in a database. Only ``MlflowClient`` is used: the session's
experiment and active run are neither used nor changed. Its tracking URI is read where none is given, and not
changed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fairlane.errors import StudyError
from fairlane.kit.extras import needed
from fairlane.store import Record
from fairlane.trackers.contract import Facts, Tracker, digest, last_epoch, numbers, plain, run_name, safe
from fairlane.trials import EpochEnded, Event, Tested, Trial, TrialDone, TrialFailed, TrialStarted, TrialState

_WHAT = "writing MLflow's runs"
_PARENT, _STUDY, _TRIAL = "mlflow.parentRunId", "fairlane.study", "fairlane.trial"
_ERROR = "fairlane.error"
_STATUS = {TrialState.DONE: "FINISHED", TrialState.STOPPED: "FINISHED", TrialState.INTERRUPTED: "KILLED"}
_EVERY = 5.0
"""Seconds for which metrics of running trials are collected before they are sent."""
_PER_CALL = {"params": 100, "tags": 100, "metrics": 800}
"""How many of each go into one call: MLflow takes 100, 100 and 1000, and 1000 of all together."""
_LONGEST_NAME = 250
_LONGEST_TEXT = 4000


class MLflow(Tracker):
    """Writes MLflow's runs: a parent for the study, a child for each trial.

    Args:
        uri: of the tracking server or database, such as ``"http://localhost:5000"`` or
            ``"sqlite:///mlflow.db"``; by default the one that is set in the session.
        experiment: the name of the experiment that the runs belong to; it is made if it does not exist.

    Raises:
        StoreError: neither ``mlflow`` nor ``mlflow-skinny`` is installed.
        StudyError: ``uri`` or ``experiment`` is not text.

    Example:
        >>> import fairlane as fl
        >>> fl.trackers.MLflow("sqlite:///mlflow.db")
        MLflow('sqlite:///mlflow.db')
    """

    def __init__(self, uri: str | None = None, experiment: str = "fairlane") -> None:
        if not isinstance(uri, str | None) or not isinstance(experiment, str) or not experiment:
            raise StudyError(f"MLflow takes a URI and an experiment's name, not {uri!r} and {experiment!r}")
        needed("mlflow", _WHAT)
        self._uri, self._name = uri, experiment
        self._client: Any = None
        self._experiment = self._study = self._parent = ""
        self._runs: dict[int, str] = {}
        self._open: set[int] = set()
        self._waiting: dict[int, _Batch] = {}
        self._sent = 0.0

    def __repr__(self) -> str:
        return f"MLflow({self._uri!r})"

    def begin(self, facts: Facts) -> None:
        """Connect; find the study's run, or make it."""
        self._client = needed("mlflow", _WHAT).MlflowClient(tracking_uri=self._uri)
        found = self._client.get_experiment_by_name(self._name)
        self._experiment = found.experiment_id if found else self._client.create_experiment(self._name)
        self._runs, self._waiting = {}, {}
        self._open.clear()
        self._sent = time.monotonic()
        # A digest: names may have characters that a search can't express.
        self._study = digest(facts.name)[:32] if facts.name else ""
        parents = self._found({_STUDY: self._study, _TRIAL: "study"}) if facts.name else []
        if parents:
            self._parent = parents[0].info.run_id
            self._client.update_run(self._parent, status="RUNNING")
            children = self._found({_PARENT: self._parent})
            numbered = [(run.data.tags.get(_TRIAL, ""), run.info.run_id) for run in children]
            self._runs = {int(number): run for number, run in numbered if number.isdecimal()}
        else:
            self._parent = self._made(facts.name or "study", {_TRIAL: "study"})

    def take(self, event: Event, record: Record) -> None:
        """Write to the trial's run; metrics every few seconds."""
        match event:
            case TrialStarted():
                self._start(event.trial, event.epoch, record)
            case EpochEnded():
                self._collect(event.trial, event.epoch, event.logs)
                if time.monotonic() - self._sent > _EVERY:
                    self._send()
            case TrialFailed() | TrialDone():
                if event.trial.number not in self._open:
                    self._start(event.trial, 0, record)  # it failed in its builder, before TrialStarted
                self._end(record)
            case Tested():
                self._collect(event.trial, last_epoch(record), event.logs)
                self._write_state(record)

    def conclude(self, summary: Mapping[str, float | str]) -> None:
        """Write numbers as metrics of the study's run, and texts as its tags.

        Args:
            summary: as `Tracker.conclude` says.
        """
        batch = _Batch()
        texts = {name: value for name, value in summary.items() if isinstance(value, str)}
        batch.tag({f"fairlane.{name}": text[:_LONGEST_TEXT] for name, text in texts.items()})
        batch.measure(numbers(summary), 0)
        self._log(self._parent, batch)

    def end(self, records: Iterable[Record]) -> None:
        """Send what is left, mark interrupted trials, and end the study's run."""
        listed = list(records)
        self._send()
        for record in listed:
            if record.trial.number in self._open and record.state.ended:
                self._end(record)
        states = {record.state for record in listed}
        if all(state.ended for state in states):
            self._client.set_terminated(
                self._parent, "KILLED" if TrialState.INTERRUPTED in states else "FINISHED"
            )

    def _start(self, trial: Trial, epoch: int, record: Record) -> None:
        """Continue the trial's run, or replace it if its last epoch is not the one before ``epoch``."""
        self._waiting.pop(trial.number, None)
        old = self._runs.pop(trial.number, None)
        before = [(number, logs) for number, logs in record.epochs if number < epoch]
        self._open.add(trial.number)
        if old and before and self._last_step(old, before[-1][1]) == before[-1][0]:
            self._runs[trial.number] = old
            self._client.update_run(old, status="RUNNING")
            if _ERROR in self._client.get_run(old).data.tags:
                self._client.delete_tag(old, _ERROR)  # of the previous attempt
            return
        if old:
            self._client.delete_run(old)
        tags = {_PARENT: self._parent, _TRIAL: str(trial.number), "fairlane.seed": str(trial.seed)}
        self._runs[trial.number] = self._made(run_name(trial)[:_LONGEST_NAME], tags)
        values = {**trial.hyperparameters, "seed": trial.seed}
        self._batch(trial).set(values)
        for number, logs in before:
            self._collect(trial, number, logs)

    def _last_step(self, run: str, logs: Mapping[str, Any]) -> int | None:
        steps = [
            metric.step
            for name in numbers(logs)
            for metric in self._client.get_metric_history(run, _key(name))
        ]
        return max(steps, default=None)

    def _end(self, record: Record) -> None:
        self._write_state(record)
        run = self._runs[record.trial.number]
        self._client.set_terminated(run, _STATUS.get(record.state, "FAILED"))
        self._open.discard(record.trial.number)

    def _write_state(self, record: Record) -> None:
        found = {
            "fairlane.state": str(record.state),
            "fairlane.engine": record.engine,
            "fairlane.reason": record.reason,
            _ERROR: record.error[:_LONGEST_TEXT],
        }
        self._batch(record.trial).tag({name: text for name, text in found.items() if text})
        self._log(self._runs[record.trial.number], self._waiting.pop(record.trial.number))

    def _collect(self, trial: Trial, epoch: int, logs: Mapping[str, Any]) -> None:
        self._batch(trial).measure(numbers(logs), epoch)

    def _batch(self, trial: Trial) -> _Batch:
        return self._waiting.setdefault(trial.number, _Batch())

    def _send(self) -> None:
        for number in list(self._waiting):
            self._log(self._runs[number], self._waiting.pop(number))
        self._sent = time.monotonic()

    def _log(self, run: str, batch: _Batch) -> None:
        for part in batch.parts():
            self._client.log_batch(run, **part)

    def _made(self, name: str, tags: Mapping[str, str]) -> str:
        if self._study:
            tags = {**tags, _STUDY: self._study}
        return str(self._client.create_run(self._experiment, tags=dict(tags), run_name=name).info.run_id)

    def _found(self, tags: Mapping[str, str]) -> list[Any]:
        """The runs that have these tags, the newest first."""
        query = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        runs: list[Any] = []
        token = None
        while True:
            page = self._client.search_runs([self._experiment], query, page_token=token)
            runs += page
            token = page.token
            if not token:
                return runs


class _Batch:
    """What is written of a run in as few calls as MLflow allows: each is a transaction of its own."""

    def __init__(self) -> None:
        self._entities = needed("mlflow.entities", _WHAT)
        self._found: dict[str, list[Any]] = {kind: [] for kind in _PER_CALL}

    def set(self, values: Mapping[str, Any]) -> None:
        """Add parameters."""
        param = self._entities.Param
        self._found["params"] += [param(_key(name), str(plain(value))) for name, value in values.items()]

    def tag(self, texts: Mapping[str, str]) -> None:
        """Add tags."""
        self._found["tags"] += [self._entities.RunTag(name, text) for name, text in texts.items()]

    def measure(self, logs: Mapping[str, float], step: int) -> None:
        """Add metrics of an epoch."""
        now, metric = int(time.time() * 1000), self._entities.Metric
        self._found["metrics"] += [metric(_key(name), value, now, step) for name, value in logs.items()]

    def parts(self) -> Iterator[dict[str, list[Any]]]:
        """The arguments of each call."""
        calls = max(-(-len(self._found[kind]) // size) for kind, size in _PER_CALL.items())
        for n in range(calls):
            yield {kind: self._found[kind][n * size : (n + 1) * size] for kind, size in _PER_CALL.items()}


def _key(name: str) -> str:
    """A name as MLflow takes it for metrics and parameters."""
    return safe(name, _LONGEST_NAME, " :")
