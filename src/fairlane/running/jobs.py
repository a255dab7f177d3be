"""Trials → jobs, and the resources that jobs name; and the feed that gives them to engines.

In: planned trials, the builder or template, ``Model.fit``'s arguments. Out: a `Job` per trial, `Resources`, a
feed.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fairlane.engines import phases
from fairlane.engines.contract import OVER, Job, Nothing, Pace
from fairlane.engines.data.fit_data import DATA_ARGUMENTS
from fairlane.engines.resources import Builder, CallbackMaker, Resources, likeness
from fairlane.errors import StudyError
from fairlane.running.budget import seconds_of
from fairlane.running.callbacks import Callbacks
from fairlane.running.data import Data
from fairlane.running.fit_arguments import FIT_ARGUMENTS
from fairlane.trials import Checkpoint, Trial

_BUILDER, _CALLBACKS = "builder", "callbacks"
"""The keys of what all jobs of a study share."""


def resources_of(builder: Builder, data: Data, callbacks: Callbacks, watched: bool) -> Resources:
    """What the jobs of a study share.

    Args:
        builder: of their models.
        data: their data.
        callbacks: gives each its callbacks.
        watched: whether checkpoints are wanted, so that it matters what several trials' callbacks hold.
    """
    makers = {}
    if callbacks.are_given:
        held = callbacks.shared() if watched else frozenset()
        makers[_CALLBACKS] = CallbackMaker(callbacks.make, held, callbacks.example)
    return Resources({_BUILDER: builder}, data.by_key, makers, data.release, data.missing)


def jobs_of(
    trials: Sequence[Trial],
    common: Mapping[str, Any],
    data: Data,
    callbacks: Callbacks,
    pace: Pace | None,
    engine: str,
) -> list[Job]:
    """A job for each of these trials.

    Args:
        trials: those to be run.
        common: ``Model.fit``'s arguments that are the same for all.
        data: their data.
        callbacks: gives each its callbacks.
        pace: how often checkpoints are taken, or None.
        engine: as for `fairlane.compare`.
    """
    varying, alike = _varying_names(trials), Counter(map(_likeness, trials))
    return [
        Job(
            trial,
            _BUILDER,
            data.key(trial),
            _CALLBACKS if callbacks.are_given else "",
            {k: v for k, v in arguments_of(common, trial).items() if k not in DATA_ARGUMENTS},
            pace=pace,
            varying=_varying(trial, varying),
            alike=alike[_likeness(trial)],
            reason="" if engine == "reference" else data.reason(trial),
        )
        for trial in trials
    ]


class PlannedFeed:
    """Gives planned jobs to engines, in order.

    Args:
        jobs: all of them.
        checkpoint: gives what a trial goes on from, or None; looked up when its job is taken.
    """

    def __init__(
        self, jobs: Sequence[Job], checkpoint: Callable[[Trial], Checkpoint | None] | None = None
    ) -> None:
        self._jobs, self._checkpoint = deque(jobs), checkpoint

    def next(self) -> Job | Nothing:
        """The next job."""
        if not self._jobs:
            return OVER
        job = self._jobs.popleft()
        if self._checkpoint is None or job.pace is None:
            return job
        return phases.resumed(job, self._checkpoint(job.trial))


def pace_of(checkpoint_every: Any) -> Pace | None:
    """How often checkpoints are taken.

    Raises:
        StudyError: it is neither a number of epochs nor a time.
    """
    if checkpoint_every is None:
        return None
    whole = isinstance(checkpoint_every, (int, np.integer)) and not isinstance(checkpoint_every, bool)
    if whole and checkpoint_every >= 1:
        return Pace(epochs=int(checkpoint_every))
    seconds = seconds_of(checkpoint_every)
    if seconds >= 0:
        return Pace(seconds=seconds)
    raise StudyError(
        "checkpoint_every must be a number of epochs, 1 or more, or a time such as '60s' or '5min', or None "
        f"for no checkpoints during training; not {checkpoint_every!r}"
    )


def _varying_names(trials: Sequence[Trial]) -> set[str]:
    """The hyperparameters that are not the same in all trials."""
    seen: dict[str, set[str]] = {}
    for trial in trials:
        for name, value in trial.hyperparameters.items():
            seen.setdefault(name, set()).add(repr(value))
    return {name for name, values in seen.items() if len(values) > 1}


def _varying(trial: Trial, names: set[str]) -> tuple[float, ...]:
    """The numbers among a trial's hyperparameters that another trial has otherwise."""
    values = (value for name, value in trial.hyperparameters.items() if name in names)
    return tuple(v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool))


def _likeness(trial: Trial) -> Any:
    """What trials must have in common to share a program, as far as hyperparameters show it."""
    return likeness(trial.hyperparameters)


def arguments_of(common: Mapping[str, Any], trial: Trial) -> dict[str, Any]:
    """``Model.fit``'s arguments for a trial."""
    own = trial.variant.fit_arguments
    return {**common, **{name: value for name, value in own.items() if name in FIT_ARGUMENTS}}


def epochs_of(arguments: Mapping[str, Any]) -> int:
    """How many epochs ``Model.fit`` trains with these arguments."""
    return max(0, int(arguments.get("epochs", 1)) - int(arguments.get("initial_epoch") or 0))
