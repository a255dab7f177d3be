"""Weights & Biases: a run per trial, written with the package ``wandb``; offline by default.

In: events of one trial after another. Out: folders that ``wandb sync`` uploads. A run that is active in the
session stays active, and each run gets its own settings.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Literal

from fairlane.errors import StudyError
from fairlane.kit.extras import needed
from fairlane.store import Record
from fairlane.trackers.contract import Facts, Tracker, numbers, plain, run_name
from fairlane.trials import EpochEnded, Event, Tested, Trial, TrialState

_WHAT = "writing Weights & Biases' runs"
_LONGEST_NAME = 120


class WandB(Tracker):
    """Writes Weights & Biases' runs, for exports: a run is complete before the next begins.

    Args:
        project: the project that the runs belong to.
        dir: the folder in which wandb makes its folder ``wandb``; by default the current one.
        mode: ``"offline"`` only writes files; ``"online"`` sends them, as the user who is logged in.
        entity: the user or team that the project belongs to; by default the one that is set in wandb.

    Raises:
        StoreError: the package ``wandb`` is not installed.
        StudyError: an unknown mode.
    """

    live = False

    def __init__(
        self,
        project: str = "fairlane",
        dir: str | os.PathLike[str] | None = None,
        mode: Literal["offline", "online"] = "offline",
        entity: str | None = None,
    ) -> None:
        if mode not in ("offline", "online"):
            raise StudyError(f"mode must be 'offline' or 'online', not {mode!r}")
        needed("wandb", _WHAT)
        self._project, self._mode, self._entity = project, mode, entity
        self._dir = None if dir is None else os.fspath(dir)
        self._group: str | None = None
        self._open: tuple[Record, Any] | None = None

    def __repr__(self) -> str:
        return f"WandB({self._project!r})"

    def begin(self, facts: Facts) -> None:
        """Make the folder."""
        self._group = facts.name and facts.name[:_LONGEST_NAME]
        self._finish()  # an export that failed may have left it open
        if self._dir is not None:
            os.makedirs(self._dir, exist_ok=True)  # if it does not exist, wandb writes elsewhere

    def take(self, event: Event, record: Record) -> None:
        """Write to the trial's run."""
        if self._open is None or self._open[0] is not record:
            self._finish()
            self._open = record, self._started(event.trial)
        run = self._open[1]
        match event:
            case EpochEnded():
                run.log(numbers(event.logs), step=event.epoch)
            case Tested():
                run.summary.update(numbers(event.logs))

    def end(self, records: Iterable[Record]) -> None:
        """Finish the last run."""
        self._finish()

    def _finish(self) -> None:
        """Write how the trial ended, and finish its run, if one is open."""
        if self._open is None:
            return
        (record, run), self._open = self._open, None
        found = {"state": str(record.state), "engine": record.engine, "error": record.error}
        run.summary.update({f"fairlane/{name}": text for name, text in found.items() if text})
        run.finish(exit_code=0 if record.state in (TrialState.DONE, TrialState.RUNNING) else 1)

    def _started(self, trial: Trial) -> Any:
        wandb = needed("wandb", _WHAT)
        values = {name: plain(value) for name, value in trial.hyperparameters.items()}
        quiet = wandb.Settings(
            silent=True,
            console="off",
            save_code=False,
            disable_git=True,
            x_disable_stats=True,
            x_disable_machine_info=True,
        )
        return wandb.init(
            project=self._project,
            entity=self._entity,
            group=self._group,
            job_type="trial",
            name=run_name(trial)[:_LONGEST_NAME],
            config={**values, "seed": trial.seed, "trial": trial.number},
            mode=self._mode,
            dir=self._dir,
            reinit="create_new",  # a run of the user's own stays active
            settings=quiet,
        )
