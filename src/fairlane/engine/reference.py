"""The reference engine: one ``Model.fit`` at a time, in a session of its own.

In: a feed of jobs. Out: their events. What it does for a trial is the contract itself:
``set_random_seed``, build, ``fit``. Every other engine is tested against it.
"""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import keras

from fairlane.engine import Feed, Job, one_line
from fairlane.program import weights_of
from fairlane.trial import EpochEnded, Event, Trial, TrialDone, TrialFailed, TrialStarted

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
        yield TrialStarted(job.trial, ENGINE, job.reason)
        yield _train(job, watch)
        del job
        gc.collect()  # models are full of cycles; what hundreds of them leave must not pile up


class _First(keras.callbacks.Callback):  # type: ignore[misc]
    """Comes before the user's callbacks, and knows the epoch in which they raise."""

    epoch: int | None = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch


class _Last(keras.callbacks.Callback):  # type: ignore[misc]
    """Comes after them, and passes the logs on with what they added."""

    def __init__(self, trial: Trial, watch: Callable[[Event], None]) -> None:
        super().__init__()
        self._trial, self._watch = trial, watch
        self.refusal: BaseException | None = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        try:
            self._watch(EpochEnded(self._trial, epoch, dict(logs or {})))
        except BaseException as refusal:
            self.refusal = refusal  # it is the driver's, and no failure of the trial
            raise


def _train(job: Job, watch: Callable[[Event], None]) -> Event:
    began = time.perf_counter()
    first, last = _First(), _Last(job.trial, watch)
    try:
        with job.session():
            model = job.model()
            callbacks = [first, *(job.callbacks() if job.callbacks else ()), last]
            model.fit(**job.arguments, callbacks=callbacks, verbose=0)
            weights = None if job.in_place else weights_of(model)
        return TrialDone(job.trial, time.perf_counter() - began, weights)
    except Exception as error:
        if error is last.refusal:
            raise
        seconds = time.perf_counter() - began
        text = traceback.format_exc()
        return TrialFailed(job.trial, first.epoch, one_line(error), text, seconds, error)
