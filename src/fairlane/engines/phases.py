"""Training in phases: a job → the job of its next phase; and the model as a phase wants it.

In: a job whose phase has ended or was interrupted. Out: the job that goes on, and a model that is built and
changed as it was in the process that trained it. A phase is a ``fit`` of its own: between two of them the
model is changed, and everything else stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras

from fairlane.engines.contract import Job
from fairlane.engines.data.fit_data import FitData
from fairlane.engines.resources import Builder
from fairlane.models.callback_memory import trial_memory
from fairlane.models.streams import set_generators
from fairlane.models.variables import read_state, write_state
from fairlane.trials import Checkpoint, Weights

_MARK = "phase"
"""The key of a checkpoint's memory that says which phase it is of; there is none in the first."""


def has_next(job: Job) -> bool:
    """Whether another phase follows on a job's."""
    return job.phase < len(job.phases)


def opening(job: Job, epoch: int, weights: Weights, generators: Any, seconds: float) -> Checkpoint:
    """The state at the end of a phase, as the checkpoint that the next one begins with.

    Args:
        job: whose phase has ended.
        epoch: the epoch that comes next.
        weights: the model's state.
        generators: where the trial's random generators stand.
        seconds: the trial's share of the time until then.
    """
    memory = {
        "generators": trial_memory.plain(generators),
        "callbacks": [],
        "logs": {},
        "weights": {},
        "seconds": seconds,
        _MARK: [job.phase + 1, epoch, True],
    }
    return Checkpoint(job.trial, epoch, weights, memory)


def next_job(job: Job, ended: Checkpoint) -> Job:
    """The job of the next phase.

    Args:
        job: whose phase has ended.
        ended: the `opening` of the next.
    """
    return replace(job, phase=job.phase + 1, began=ended.epoch, opening=ended, checkpoint=None, forked=False)


def first_job(job: Job) -> Job:
    """The job that trains from the beginning."""
    return replace(job, phase=0, began=0, opening=None, checkpoint=None)


def marked(job: Job, memory: Mapping[str, Any]) -> dict[str, Any]:
    """A checkpoint's memory that says which phase it is of."""
    return {**memory, _MARK: [job.phase, job.began, False]} if job.phase else dict(memory)


def resumed(job: Job, checkpoint: Checkpoint | None) -> Job:
    """A job of the first phase as one that goes on from a checkpoint of any.

    Args:
        job: as it was planned.
        checkpoint: what it goes on from, or None.
    """
    mark = None if checkpoint is None else checkpoint.memory.get(_MARK)
    if checkpoint is None or mark is None:
        return replace(job, checkpoint=checkpoint)
    phase, began, begins = mark
    if phase > len(job.phases):
        return job
    job = replace(job, phase=phase, began=began)
    return replace(job, opening=checkpoint) if begins else replace(job, checkpoint=checkpoint)


def change_model(job: Job, builder: Builder, model: keras.Model, data: FitData | None) -> None:
    """Make of a model that was just built the one that a job's phase trains, in the trial's session.

    Where the phase is to begin, the model and the random generators get the state of the one before, and then
    it is changed: as in the process that has trained it until here. Where the phase goes on, its checkpoint
    says the rest.

    Args:
        job: the job.
        builder: of its model.
        model: the model.
        data: of the job; they build its variables.

    Raises:
        CannotGoOn: the state is of another model.
    """
    assert builder.change is not None
    for phase in range(1, job.phase + 1):
        if data is not None:
            data.build(model)
        if phase == job.phase and job.opening is not None:
            trial_memory.restore_layers(job.opening, model)
            write_state(model, trial_memory.fitting(job.opening, read_state(model)))
            set_generators(trial_memory.restored(job.opening.memory["generators"]))
        builder.change(job.trial, model, phase)
