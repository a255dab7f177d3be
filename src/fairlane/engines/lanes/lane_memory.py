"""What a lane remembers between two epochs besides its state: its checkpoints, and going on from one.

In: a lane's session, callbacks and batch order. Out: plain data, as of a `fairlane.trials.Checkpoint`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from fairlane.engines import phases
from fairlane.engines.contract import Job
from fairlane.engines.data.orders import BatchOrder
from fairlane.engines.data.sources import Reading
from fairlane.engines.lanes.callbacks import LaneCallbacks
from fairlane.engines.lanes.examination import Examination
from fairlane.engines.weights_epoch import KeptWeights
from fairlane.models.callback_memory import trial_memory
from fairlane.models.session import Session
from fairlane.trials import Checkpoint, Weights


class LaneMemory:
    """What a lane remembers besides its state.

    To be made when training has begun: what callbacks hold outside of themselves is watched from then on.

    Args:
        job: its job.
        session: the trial's.
        callbacks: the lane's.
        kept: knows which epoch the trained weights are of.
        examination: of the lane's model.
        repeats: whether the batches of an epoch can be read again.
        reading: what the lane reads its batches from, or None.
        held_by_several: the addresses of objects that other trials' callbacks hold too.
        epoch: the next epoch, from 0.
    """

    def __init__(
        self,
        job: Job,
        session: Session,
        callbacks: LaneCallbacks,
        kept: KeptWeights,
        examination: Examination,
        repeats: bool,
        reading: Reading | None,
        held_by_several: frozenset[int],
        epoch: int,
    ) -> None:
        self._job, self._session, self._callbacks = job, session, callbacks
        self._kept, self._examination = kept, examination
        self._repeats, self._reading = repeats, reading
        self._remembers = (
            None if job.pace is None else trial_memory.Remembering(callbacks.with_memory(), held_by_several)
        )
        self._saved = epoch, time.monotonic()

    def is_due(self, epoch: int) -> bool:
        """Whether a checkpoint is to be taken, before ``epoch`` begins."""
        saved, at = self._saved
        pace = self._job.pace
        return pace is not None and pace.is_due(epoch - saved, time.monotonic() - at)

    def note_saved(self, epoch: int) -> None:
        """A checkpoint was taken before ``epoch``."""
        self._saved = epoch, time.monotonic()

    def now(self, logs: Mapping[str, Any], seconds: float, examined: bool) -> dict[str, Any] | str:
        """What the lane remembers, as plain data; or why that is not known.

        Args:
            logs: of the last epoch.
            seconds: the trial's share of the time.
            examined: whether its program is known.
        """
        if self._remembers is None:
            return "its job has no pace, so what its callbacks remember is not known"
        if not self._repeats:
            return "its batches can't be read again"
        memory = {
            "generators": trial_memory.plain(self._generators()),
            "callbacks": self._of_callbacks(self._remembers, examined),
            "logs": trial_memory.plain(logs),
            "weights": self._kept.memory,
            "seconds": seconds,
        }
        return phases.marked(self._job, memory)

    def opening(self, epoch: int, weights: Weights, seconds: float) -> Checkpoint:
        """What the next phase begins with, at the end of this one.

        Args:
            epoch: the next.
            weights: the model's state.
            seconds: the trial's share of the time.
        """
        return phases.opening(self._job, epoch, weights, self._generators(), seconds)

    def _generators(self) -> Any:
        return self._session.generators() if self._reading is None else self._reading.generators.states()

    def _of_callbacks(self, remembers: trial_memory.Remembering, examined: bool) -> dict[str, Any]:
        if self._callbacks.eager and examined and self._examination.differs("train", "test"):
            return trial_memory.incomplete(
                "they have changed what the model's steps read, which Keras traces once"
            )
        return remembers.now()


def go_on_from(
    checkpoint: Checkpoint,
    first_epoch: int,
    session: Session,
    order: BatchOrder | None,
    callbacks: LaneCallbacks,
    kept: KeptWeights,
) -> dict[str, Any]:
    """Let random generators, batch order and callbacks stand where a checkpoint was taken.

    Args:
        checkpoint: what the lane goes on from.
        first_epoch: ``fit``'s ``initial_epoch``.
        session: the trial's.
        order: its batch order, or None where it reads its batches.
        callbacks: which have begun to train.
        kept: knows which epoch the trained weights are of.

    Returns:
        The logs of the last epoch.

    Raises:
        CannotGoOn: they can't stand there exactly.
    """
    memory = checkpoint.memory
    generators = trial_memory.restored(memory["generators"])
    if order is not None and order.goes_on:
        for _ in range(first_epoch, checkpoint.epoch):
            order.next_epoch()
        if not trial_memory.same(session.generators(), generators):
            raise trial_memory.CannotGoOn(
                "its callbacks draw random numbers, and with steps_per_epoch its batches can't be drawn again"
            )
    session.set_generators(generators)
    trial_memory.restore_callbacks(callbacks.with_memory(), memory["callbacks"])
    kept.recall(memory.get("weights", {}))
    logs: dict[str, Any] = trial_memory.restored(memory["logs"])
    return logs
