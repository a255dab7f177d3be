"""The reference engine: one ``Model.fit`` at a time, in a session of its own.

In: a feed of jobs. Out: their events. What it does for a trial is the contract itself:
``set_random_seed``, build, ``fit``. Every other engine is tested against it.
"""

from __future__ import annotations

import gc
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

from fairlane.engines.contract import Feed, Job, one_line
from fairlane.engines.program.structure import Structure, structure
from fairlane.engines.program.tracing import forget_foreign_traces
from fairlane.engines.weights_epoch import KeptWeights
from fairlane.errors import FairlaneWarning
from fairlane.kit.values import same_bits
from fairlane.models import keras_private
from fairlane.models.callback_memory import trial_memory as recall
from fairlane.models.streams import generators_now, set_generators
from fairlane.models.variables import read_state, same_weights, weights_of, write_state
from fairlane.trials import (
    Checkpoint,
    CutOff,
    EpochEnded,
    Event,
    TrialDone,
    TrialFailed,
    TrialStarted,
    Weights,
)

ENGINE = "reference"


def run(feed: Feed, watch: Callable[[Event], None]) -> Iterator[Event]:
    """Run every job of the feed, one after another.

    Args:
        feed: the jobs.
        watch: is told of each epoch at once, from inside ``fit``, which does not pause to yield.

    Yields:
        Each trial's start and end.
    """
    while (job := feed.take()) is not None:
        checkpoint = job.checkpoint() if _repeats(job) else None
        yield TrialStarted(job.trial, ENGINE, job.reason, epoch=checkpoint.epoch if checkpoint else 0)
        try:
            event = _train(job, checkpoint, watch, feed)
        except recall.CannotGoOn as why:
            warnings.warn(f"{job.trial} begins anew: {why}", FairlaneWarning, stacklevel=2)
            yield TrialStarted(job.trial, ENGINE, job.reason)
            event = _train(job, None, watch, feed)
        yield event
        del checkpoint, event
        del job
        gc.collect()  # models are full of cycles; what hundreds of them leave must not pile up


def _memory(end: Checkpoint | None, weights: Weights | None) -> Mapping[str, Any] | None:
    """What more epochs could go on from: what was told at the end, if training's end changed no weight."""
    if end is None or weights is None:
        return None
    if not same_weights(weights.state, end.weights.state):
        return None
    return end.memory


class _First(keras.callbacks.Callback):  # type: ignore[misc]
    """Comes before the user's callbacks, and knows the epoch in which they raise.

    It also sees the weights before they do, at the end of each epoch and of the training.
    """

    epoch: int | None = None
    kept: KeptWeights
    tested = False
    """Whether the weights were looked at when validation began."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch, self.tested = epoch, False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.kept.watches and not self.tested:
            self.kept.note(epoch, read_state(self.model))

    def on_train_end(self, logs: Any = None) -> None:
        if self.epoch is not None:
            self.kept.note_end(self.epoch, read_state(self.model))


class _Last(keras.callbacks.Callback):  # type: ignore[misc]
    """Comes after them, and passes the logs on with what they added."""

    def __init__(
        self, job: Job, checkpoint: Checkpoint | None, watch: Callable[[Event], None], first: _First
    ) -> None:
        super().__init__()
        self._job, self._checkpoint, self._watch, self._first = job, checkpoint, watch, first
        self._told = False
        self._structure: Structure | None = None
        self.cut_off: CutOff | None = None
        """The state after the last finished epoch."""
        self._saved = checkpoint.epoch if checkpoint else 0, time.monotonic()
        self.others: list[Any] = []
        self.end: Checkpoint | None = None
        self._remembers: recall.Remembering | None = None
        self.refusal: BaseException | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        self._first.kept = KeptWeights(self.model, self.others)
        if self._checkpoint is not None:
            recall.refuse_untold(self._checkpoint.memory)
            self._first.kept.recall(self._checkpoint.memory.get("weights", {}))
            recall.recall_layers(self._checkpoint, self.model)
            write_state(self.model, recall.fitting(self._checkpoint, read_state(self.model)))
            keras_private.set_initial_epoch(
                self.model, None
            )  # of a BackupAndRestore, which knows another one
            recall.recall_callbacks(self._remembering(), self._checkpoint.memory["callbacks"])
            set_generators(recall.restored(self._checkpoint.memory["generators"]))
        if self._job.pace is not None:
            self._remembers = recall.Remembering(self._remembering(), self._job.held_by_others)

    def on_test_begin(self, logs: Any = None) -> None:
        first = self._first
        if first.kept.watches and first.epoch is not None and not first.tested:
            first.kept.note(first.epoch, read_state(self.model))
            first.tested = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        directions = {} if self._told else keras_private.metric_directions(self.model)
        try:
            self._watch(EpochEnded(self._job.trial, epoch, dict(logs or {}), directions))
            self._told = True
            if not self._job.in_place:
                self.cut_off = CutOff(self._job.trial, epoch + 1, weights_of(self.model))
            self._save(epoch + 1)
        except BaseException as refusal:
            self.refusal = refusal  # it is the driver's, and no failure of the trial
            raise

    def _save(self, epoch: int) -> None:
        """Tell a checkpoint where one is due, and remember the last."""
        if self._job.pace is None or self._remembers is None or not _repeats(self._job):
            return
        last = epoch >= int(self._job.arguments.get("epochs", 1))
        due = self._job.pace.is_due(epoch - self._saved[0], time.monotonic() - self._saved[1])
        if not (due or last):
            return
        self._saved = epoch, time.monotonic()
        memory = {
            "generators": recall.plain(generators_now()),
            "callbacks": self._told_of_callbacks(self._remembers),
            "logs": {},
            "seconds": 0.0,
            "weights": self._first.kept.told,
        }
        weights = weights_of(self.model) if last or recall.is_told(memory) else recall.NO_WEIGHTS
        checkpoint = Checkpoint(self._job.trial, epoch, weights, memory)
        if last:
            self.end = checkpoint
        else:
            self._watch(checkpoint)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self._structure is None and self.others and self._job.pace is not None:
            self._structure = structure(self.model)  # when Keras is about to trace its steps

    def _told_of_callbacks(self, remembers: recall.Remembering) -> dict[str, Any]:
        before = self._structure
        if before is not None:
            now = structure(self.model).numbers  # its key changes with what `fit` itself keeps
            if any(place in now and not same_bits(v, now[place]) for place, v in before.numbers.items()):
                return recall.untold("they have changed what the model's steps read, which Keras traces once")
        return remembers.told()

    def _remembering(self) -> list[Any]:
        return [*self.others, self.model.history] if self.others else []


def _repeats(job: Job) -> bool:
    """Whether a trial's batches follow from its random generators at the beginning of each epoch."""
    whole = job.arguments.get("steps_per_epoch") is None
    return whole and job.data is not None and job.data.repeats


def _train(job: Job, checkpoint: Checkpoint | None, watch: Callable[[Event], None], feed: Feed) -> Event:
    began = time.perf_counter()
    session = job.session()

    def watch_outside(event: Event) -> None:
        with session.outside():  # what trackers draw is none of the trial's
            watch(event)

    first = _First()
    last = _Last(job, checkpoint, watch_outside, first)
    try:
        with session:
            forget_foreign_traces()
            model = job.model()
            last.others = list(job.callbacks() if job.callbacks else ())
            arguments = dict(job.arguments)
            if checkpoint is not None:
                recall.go_on_with_files(last.others, checkpoint.epoch)
                arguments["initial_epoch"] = checkpoint.epoch
            held = job.held(model)
            try:
                model.fit(**arguments, callbacks=[first, *last.others, last], verbose=0)
            except BaseException:
                held.restore()
                raise
            held.check()
            weights = None if job.in_place else weights_of(model)
            kept = first.kept.epoch_of(model, read_state(model))
        seconds, memory = time.perf_counter() - began, _memory(last.end, weights)
        return TrialDone(job.trial, seconds, weights, memory=memory, weights_epoch=kept)
    except recall.CannotGoOn:
        raise
    except KeyboardInterrupt:
        if last.cut_off is not None:
            feed.left.append(last.cut_off)
        raise
    except Exception as error:
        if error is last.refusal:
            raise
        seconds = time.perf_counter() - began
        text = traceback.format_exc()
        return TrialFailed(job.trial, first.epoch, one_line(error), text, seconds, error)
