"""TensorBoard: event files, written with the package ``tensorboard``, without TensorFlow.

In: events. Out: in ``<folder>/<study>/<run of the trial>/``, the hyperparameters for TensorBoard's HPARAMS
page and the trial's state; in its folders ``train``, ``validation`` and ``test``, scalars with the names that
``keras.callbacks.TensorBoard`` gives them, such as ``epoch_loss``, so that TensorBoard draws the curves of a
metric in one panel.

Each event is appended to its file, and the file is closed: hundreds of trials may train together, and as many
open files or writers' threads would be too many.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fairlane.errors import StudyError
from fairlane.kit.extras import needed
from fairlane.store import Record
from fairlane.trackers.contract import Facts, Tracker, last_epoch, numbers, plain, run_name, safe
from fairlane.trials import EpochEnded, Event, Tested, Trial, TrialDone, TrialFailed, TrialStarted, TrialState

_WHAT = "writing TensorBoard's event files"
_OWN = "events.out.tfevents.*.fairlane"
_LONGEST_STUDY, _LONGEST_RUN = 60, 80
"""Characters of a folder's name: both, and what TensorBoard adds, fit into the 260 that some systems
allow."""
_LONGEST_BEFORE = 120
"""The same in older versions; a study that has such folders continues in them."""
_PARTS = (".", "train", "validation", "test")


class TensorBoard(Tracker):
    """Writes TensorBoard's event files: a run per trial.

    Args:
        dir: the folder; it is made if it does not exist. A study with a name has a folder of that name in it.
            Studies without names need a folder each, since their trials have the same names.

    Raises:
        StoreError: the package ``tensorboard`` is not installed.
        StudyError: ``dir`` is not a path.

    Example:
        >>> import fairlane as fl
        >>> fl.trackers.TensorBoard("logs")
        TensorBoard('logs')
    """

    def __init__(self, dir: str | os.PathLike[str]) -> None:
        if not isinstance(dir, str | os.PathLike):
            raise StudyError(f"TensorBoard takes the path of a folder, not {dir!r}")
        needed("tensorboard.compat.proto.event_pb2", _WHAT)
        self._dir = Path(dir)
        self._root = self._dir
        self._study: str | None = None
        self._generation: dict[int, int] = {}
        self._open: set[int] = set()

    def __repr__(self) -> str:
        return f"TensorBoard({str(self._dir)!r})"

    def begin(self, facts: Facts) -> None:
        """Make the folder."""
        self._root = _within(self._dir, facts.name, _LONGEST_STUDY) if facts.name else self._dir
        self._study = facts.name
        self._root.mkdir(parents=True, exist_ok=True)
        self._generation.clear()
        self._open.clear()

    def take(self, event: Event, record: Record) -> None:
        """Append to the trial's files."""
        match event:
            case TrialStarted():
                self._start(event.trial)
                for epoch, logs in record.epochs:
                    if epoch < event.epoch:
                        self._epoch(event.trial, epoch, logs)
            case EpochEnded():
                self._epoch(event.trial, event.epoch, event.logs)
            case TrialFailed() | TrialDone():
                if event.trial.number not in self._generation:
                    self._start(event.trial)  # it failed in its builder, before TrialStarted
                self._end(record)
            case Tested():
                logs = {name.removeprefix("test_"): value for name, value in event.logs.items()}
                self._scalars(event.trial, "test", last_epoch(record), logs)
                if event.error:
                    self._state(record)

    def end(self, records: Iterable[Record]) -> None:
        """Write the state of interrupted trials."""
        for record in records:
            if record.trial.number in self._open and record.state.ended:
                self._end(record)

    def _start(self, trial: Trial) -> None:
        """Begin the trial's run again: what an earlier attempt wrote is deleted, and no other files.

        The new file has a later name. It says that everything from step 0 on is void, so that an open
        TensorBoard shows it instead of the old files.
        """
        old = [
            path for folder in self._folders(trial) for part in _PARTS for path in (folder / part).glob(_OWN)
        ]
        self._generation[trial.number] = max((_generation(path) for path in old), default=-1) + 1
        self._open.add(trial.number)
        summaries = needed("tensorboard.plugins.hparams.summary_v2", _WHAT)
        hyperparameters = {name: plain(value) for name, value in trial.hyperparameters.items()}
        # The HPARAMS page averages over a group: the seeds of one variant, in this study only.
        group = f"{self._study or 'study'}: variant {trial.variant.number}"
        self._write(trial, ".", summary=summaries.hparams_pb(hyperparameters, trial_id=group))
        for path in old:
            # An open TensorBoard continues from an empty file with the next one, but not from a missing file.
            # So a file is emptied first, and deleted when the run begins once more.
            if path.stat().st_size:
                os.truncate(path, 0)
            else:
                path.unlink()

    def _epoch(self, trial: Trial, epoch: int, logs: Mapping[str, Any]) -> None:
        validation = {name[4:]: value for name, value in logs.items() if name.startswith("val_")}
        training = {name: value for name, value in logs.items() if not name.startswith("val_")}
        self._scalars(trial, "train", epoch, training)
        self._scalars(trial, "validation", epoch, validation)

    def _scalars(self, trial: Trial, part: str, epoch: int, logs: Mapping[str, Any]) -> None:
        found = numbers(logs)
        if found:
            protos = needed("tensorboard.compat.proto.summary_pb2", _WHAT)
            values = [
                protos.Summary.Value(tag=f"epoch_{name}", simple_value=value) for name, value in found.items()
            ]
            self._write(trial, part, step=epoch, summary=protos.Summary(value=values))

    def _end(self, record: Record) -> None:
        self._state(record)
        api = needed("tensorboard.plugins.hparams.api_pb2", _WHAT)
        data = needed("tensorboard.plugins.hparams.plugin_data_pb2", _WHAT)
        metadata = needed("tensorboard.plugins.hparams.metadata", _WHAT)
        protos = needed("tensorboard.compat.proto.summary_pb2", _WHAT)
        status = api.STATUS_SUCCESS if record.state is TrialState.DONE else api.STATUS_FAILURE
        end = data.SessionEndInfo(status=status, end_time_secs=time.time())
        value = protos.Summary.Value(
            tag=metadata.SESSION_END_INFO_TAG,
            metadata=metadata.create_summary_metadata(data.HParamsPluginData(session_end_info=end)),
            tensor=metadata.NULL_TENSOR,
        )
        self._write(record.trial, ".", summary=protos.Summary(value=[value]))
        self._open.discard(record.trial.number)

    def _state(self, record: Record) -> None:
        """The state and the error, for the TEXT page."""
        text = f"{record.state}: {record.error}" if record.error else str(record.state)
        summary = needed("tensorboard.plugins.text.summary_v2", _WHAT).text_pb("state", text)
        self._write(record.trial, ".", step=last_epoch(record), summary=summary)

    def _folder(self, trial: Trial) -> Path:
        return _within(self._root, run_name(trial), _LONGEST_RUN)

    def _folders(self, trial: Trial) -> list[Path]:
        """Where an earlier attempt may have written: in another folder if its values had another text."""
        if not self._study:
            return [self._folder(trial)]
        return list(self._root.glob(f"trial-{trial.number:03d} *"))

    def _write(self, trial: Trial, part: str, step: int = 0, **what: Any) -> None:
        protos = needed("tensorboard.compat.proto.event_pb2", _WHAT)
        writer = needed("tensorboard.summary.writer.record_writer", _WHAT)
        folder = self._folder(trial) / part
        path = folder / f"events.out.tfevents.{self._generation[trial.number]:010d}.fairlane"
        new = not path.exists()
        folder.mkdir(parents=True, exist_ok=True)
        events = [protos.Event(wall_time=time.time(), step=step, **what)]
        if new:
            start = protos.SessionLog(status=protos.SessionLog.START)
            events[:0] = [
                protos.Event(wall_time=time.time(), file_version="brain.Event:2"),
                protos.Event(wall_time=time.time(), session_log=start),
            ]
        with path.open("ab") as file:
            for event in events:
                writer.RecordWriter(file).write(event.SerializeToString())


def _generation(path: Path) -> int:
    """How many times the run was begun before the file was written, from the file's name."""
    number = path.name.removeprefix("events.out.tfevents.").removesuffix(".fairlane")
    return int(number) if number.isdecimal() else 0


def _within(folder: Path, name: str, longest: int) -> Path:
    """The folder for a study or run of any name; one of an older version, if it exists."""
    before = folder / safe(name, _LONGEST_BEFORE)
    return before if before.is_dir() else folder / safe(name, longest)
