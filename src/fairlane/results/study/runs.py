"""A study as runs in TensorBoard, MLflow and Weights & Biases.

In: the records of a study. Out: `Runs`, the part of a `Study` that writes a run per trial with each tool's
own library.
"""

from __future__ import annotations

import math
import os
from typing import Literal

from fairlane import trackers
from fairlane.errors import StudyError
from fairlane.kit import arguments
from fairlane.results.study.tables import Tables
from fairlane.trials import TrialState


class Runs(Tables):
    """The runs of a study in other tools."""

    @arguments.checked
    def to_tensorboard(self, dir: str | os.PathLike[str]) -> int:
        """Write TensorBoard's event files: a run per trial, for ``tensorboard --logdir <dir>``.

        Args:
            dir: as for `fairlane.trackers.TensorBoard`. Existing files of the same trials are replaced.

        Returns:
            How many trials were written: all that have begun.

        Raises:
            StoreError: the package ``tensorboard`` is not installed.
            StudyError: the files can't be written.

        Example:
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     study.to_tensorboard(folder)
            4
        """
        return self._replayed(trackers.TensorBoard(arguments.folder("dir", dir)))

    @arguments.checked
    def to_mlflow(self, uri: str | None = None, experiment: str = "fairlane") -> int:
        """Write MLflow's runs: a parent for the study, a child for each trial.

        Args:
            uri: as for `fairlane.trackers.MLflow`. The runs of a study with a name are replaced.
            experiment: the name of the experiment that the runs belong to.

        Returns:
            How many trials were written: all that have begun.

        Raises:
            StoreError: neither ``mlflow`` nor ``mlflow-skinny`` is installed.
            StudyError: the runs can't be written.

        Example:
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     study.to_mlflow(f"sqlite:///{folder}/mlflow.db")
            4
        """
        return self._replayed(trackers.MLflow(uri, experiment))

    @arguments.checked
    def to_wandb(
        self,
        project: str = "fairlane",
        *,
        dir: str | os.PathLike[str] | None = None,
        mode: Literal["offline", "online"] = "offline",
        entity: str | None = None,
    ) -> int:
        """Write Weights & Biases' runs, one per trial, in a group with the study's name; new runs each time.

        Args:
            project: the project that the runs belong to.
            dir: the folder in which wandb makes its folder ``wandb``; by default the current one.
            mode: ``"offline"`` writes only files, for ``wandb sync``; ``"online"`` sends the runs, as the
                user who is logged in.
            entity: the user or team that the project belongs to; by default wandb's own default.

        Returns:
            How many trials were written: all that have begun.

        Raises:
            StoreError: the package ``wandb`` is not installed.
            StudyError: the mode is unknown, or the runs can't be written.

        Example:
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     study.to_wandb("my project", dir=folder)
            4
        """
        return self._replayed(trackers.WandB(project, dir, mode, entity))

    def _replayed(self, tracker: trackers.Tracker) -> int:
        return trackers.replay(self._store, self.name, tracker, self._conclusion)

    def _conclusion(self) -> dict[str, float | str]:
        """What trackers are told of the study as a whole, as `fairlane.trackers.Tracker.conclude` says."""
        records = list(self._store)
        states = [record.state for record in records]
        found: dict[str, float | str] = {
            "trials": len(states),
            "trials_done": states.count(TrialState.DONE),
            "trials_failed": states.count(TrialState.FAILED) + states.count(TrialState.DIVERGED),
        }
        try:
            best = self._summary().iloc[0]
        except StudyError:  # nothing has finished, or it is not known which values are better
            return found
        variant = next(r.trial.variant for r in records if r.trial.variant.number == best["variant"])
        values = variant.hyperparameters.items()
        found["best_variant"] = ", ".join(f"{name}={trackers.plain(value)}" for name, value in values)
        for name, column in (("", "mean"), ("_low", "low"), ("_high", "high")):
            if math.isfinite(best[column]):
                found[f"{best['metric']}{name}"] = float(best[column])
        return found
