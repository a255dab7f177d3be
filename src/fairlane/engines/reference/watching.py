"""The two callbacks that stand around the user's: what they see is what the reference engine reports.

In: ``Model.fit``'s calls. Out: events, checkpoints, and which epoch's weights are there at the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras

from fairlane.engines import phases
from fairlane.engines.contract import EngineEvent, Job
from fairlane.engines.program.structure import Structure, structure
from fairlane.engines.resources import Resources
from fairlane.engines.weights_epoch import KeptWeights
from fairlane.kit.values import same_bits
from fairlane.models import keras_private
from fairlane.models.callback_memory import trial_memory
from fairlane.models.sharing import Held
from fairlane.models.streams import generators_now, set_generators
from fairlane.models.variables import read_state, weights_of, write_state
from fairlane.trials import Checkpoint, CutOff, EpochEnded, Weights


def repeats(job: Job, resources: Resources) -> bool:
    """Whether a trial's batches follow from its random generators at the beginning of each epoch."""
    parts = resources.data_of(job).parts
    whole = resources.data_of(job).arguments.get("steps_per_epoch") is None
    return whole and parts is not None and parts.repeats


class First(keras.callbacks.Callback):  # type: ignore[misc]
    """Comes before the user's callbacks, and knows the epoch in which they raise.

    It also sees the weights before they do, at the end of each epoch and of the training.
    """

    epoch: int | None = None
    kept: KeptWeights
    tested = False
    """Whether the weights were looked at when validation began."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note the epoch."""
        self.epoch, self.tested = epoch, False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Note the weights that the epoch's logs are of."""
        if self.kept.watches and not self.tested:
            self.kept.note(epoch, read_state(self.model))

    def on_train_end(self, logs: Any = None) -> None:
        """Note the weights that training ends with."""
        if self.epoch is not None:
            self.kept.note_end(self.epoch, read_state(self.model))


class Last(keras.callbacks.Callback):  # type: ignore[misc]
    """Comes after them: hands out what happened in an epoch, and waits for what comes next.

    Args:
        job: the trial's.
        checkpoint: what it goes on from, or None.
        can_repeat: whether its batches can be drawn again, from a checkpoint on.
        first: the callback that comes before the user's.
        hand_out: given the events, or what else was requested, returns the next request: ``"go on"``, or
            ``"copy"`` for a copy of the whole state.

    Attributes:
        events: what happened and is not handed out.
        others: the user's callbacks.
        held_by_several: the addresses of objects that other trials' callbacks hold too.
        held: the values of variables that other trials share.
        in_place: whether the model is the caller's own.
        stops: whether training ends with this epoch.
        latest: the last finished epoch, and the state after it, where that is not the caller's own model.
        end: the checkpoint at the end of the last epoch.
        next_epoch: the epoch after the last finished one; None where there is none.
        can_repeat: as given.
    """

    def __init__(
        self,
        job: Job,
        checkpoint: Checkpoint | None,
        can_repeat: bool,
        first: First,
        hand_out: Callable[[Any], Any],
    ) -> None:
        super().__init__()
        self.can_repeat = can_repeat
        self.next_epoch: int | None = None
        self._job, self._checkpoint, self._first, self._hand_out = job, checkpoint, first, hand_out
        self.events: list[EngineEvent] = []
        self.others: list[Any] = []
        self.held_by_several: frozenset[int] = frozenset()
        self.held = Held((), str(job.trial))
        self.in_place = self.stops = False
        self.latest: tuple[EpochEnded | None, CutOff | None] = None, None
        self.end: Checkpoint | None = None
        self._directions_reported = False
        self._structure: Structure | None = None
        self._saved = checkpoint.epoch if checkpoint else 0, time.monotonic()
        self._remembers: trial_memory.Remembering | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Put the trial where its checkpoint was taken."""
        self._first.kept = KeptWeights(self.model, self.others)
        if self._checkpoint is not None:
            trial_memory.refuse_incomplete(self._checkpoint.memory)
            self._first.kept.recall(self._checkpoint.memory.get("weights", {}))
            trial_memory.restore_layers(self._checkpoint, self.model)
            write_state(self.model, trial_memory.fitting(self._checkpoint, read_state(self.model)))
            # A BackupAndRestore knows another epoch to go on from.
            keras_private.set_initial_epoch(self.model, None)
            trial_memory.restore_callbacks(self._remembering(), self._checkpoint.memory["callbacks"])
            set_generators(trial_memory.restored(self._checkpoint.memory["generators"]))
        if self._job.pace is not None:
            self._remembers = trial_memory.Remembering(self._remembering(), self.held_by_several)

    def on_test_begin(self, logs: Any = None) -> None:
        """Note the weights that validation sees."""
        first = self._first
        if first.kept.watches and first.epoch is not None and not first.tested:
            first.kept.note(first.epoch, read_state(self.model))
            first.tested = True

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Look at what the model's steps read, when Keras is about to trace them."""
        if self._structure is None and self.others and self._job.pace is not None:
            self._structure = structure(self.model)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Hand out the epoch, and a checkpoint where one is due; then wait.

        Raises:
            SharedStateError: variables that other trials share have other values now, which nobody who is
                built meanwhile must see.
        """
        self.held.check()
        directions = {} if self._directions_reported else keras_private.metric_directions(self.model)
        self._directions_reported = True
        ended = EpochEnded(self._job.trial, epoch, dict(logs or {}), directions)
        cut = None if self.in_place else CutOff(self._job.trial, epoch + 1, self._weights())
        self.next_epoch = epoch + 1
        self.latest = ended, cut  # both or none, whenever Ctrl-C comes
        self.events.append(ended)
        self._save(epoch + 1)
        answer: Any = list(self.events)
        self.events.clear()
        while self._hand_out(answer) == "copy":
            answer = self._copy(epoch + 1)
        if self.stops:
            self.model.stop_training = True

    def _save(self, epoch: int) -> None:
        """Report a checkpoint where one is due, and remember the last."""
        if self._job.pace is None or not self.can_repeat:
            return
        last = epoch >= self._job.epochs
        due = self._job.pace.is_due(epoch - self._saved[0], time.monotonic() - self._saved[1])
        if not (due or last):
            return
        self._saved = epoch, time.monotonic()
        memory = self._memory()
        weights = self._weights() if last or trial_memory.is_complete(memory) else trial_memory.NO_WEIGHTS
        checkpoint = Checkpoint(self._job.trial, epoch, weights, memory)
        if last:
            self.end = checkpoint
        else:
            self.events.append(checkpoint)

    def _copy(self, epoch: int) -> Checkpoint | str:
        """The whole state between two epochs; or why it can't be copied."""
        if self._remembers is None:
            return "its job has no pace, so what its callbacks remember is not known"
        if not self.can_repeat:
            return "its batches can't be drawn again"
        memory = self._memory()
        if not trial_memory.is_complete(memory):
            return trial_memory.why_incomplete(memory)
        return Checkpoint(self._job.trial, epoch, self._weights(), memory)

    def _weights(self) -> Weights:
        return replace(weights_of(self.model), phase=self._job.phase)

    def _memory(self) -> dict[str, Any]:
        assert self._remembers is not None
        memory = {
            "generators": trial_memory.plain(generators_now()),
            "callbacks": self._of_callbacks(self._remembers),
            "logs": {},
            "seconds": 0.0,
            "weights": self._first.kept.memory,
        }
        return phases.marked(self._job, memory)

    def _of_callbacks(self, remembers: trial_memory.Remembering) -> dict[str, Any]:
        before = self._structure
        if before is not None:
            now = structure(self.model).numbers  # its key changes with what `fit` itself keeps
            if any(place in now and not same_bits(v, now[place]) for place, v in before.numbers.items()):
                return trial_memory.incomplete(
                    "they have changed what the model's steps read, which Keras traces once"
                )
        return remembers.now()

    def _remembering(self) -> list[Any]:
        return [*self.others, self.model.history] if self.others else []
