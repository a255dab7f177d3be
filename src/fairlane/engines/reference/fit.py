"""One trial's ``Model.fit``, which can be left at the end of each epoch and gone on with later.

In: a job. Out: its events. ``fit`` runs in a greenlet: a second stack of calls in the same thread. At the end
of an epoch the last callback switches back to whoever iterates, out of the trial's session, and ``fit`` stays
where it is until it is gone on with. So it is Keras's own loop that trains, and nobody is called from inside
the session. A thread would not do: Keras, TensorFlow and JAX keep settings by thread, and Ctrl-C reaches the
main thread alone.
"""

from __future__ import annotations

import contextvars
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import greenlet
import keras

from fairlane.engines import phases
from fairlane.engines.contract import EngineEvent, Job
from fairlane.engines.program.tracing import forget_foreign_traces
from fairlane.engines.reference.watching import First, Last, repeats
from fairlane.engines.resources import Builder, Resources, session_of
from fairlane.kit.error_text import one_line
from fairlane.models.callback_memory import trial_memory
from fairlane.models.streams import generators_now
from fairlane.models.variables import read_state, same_weights, weights_of
from fairlane.trials import Checkpoint, CutOff, Event, TrialDone, TrialFailed, Weights


class Fit:
    """One trial's ``fit``.

    Attributes:
        trial: whose.
        first_epoch: the epoch it is trained from, counted from 0.
        stopped: whether training ends with this epoch; to be set before it goes on.

    Args:
        job: the job.
        resources: what it names by a key.
    """

    def __init__(self, job: Job, resources: Resources) -> None:
        self.trial = job.trial
        self.stopped = False
        self._job, self._resources = job, resources
        can_repeat = repeats(job, resources)
        self._checkpoint = job.checkpoint if can_repeat else None
        before = self._checkpoint or job.opening
        self.first_epoch = before.epoch if before else 0
        self._session = session_of(job)
        self._first = First()
        self._last = Last(job, self._checkpoint, can_repeat, self._first, self._leave_session)
        self._final: TrialDone | TrialFailed | None = None
        self._away = 0.0
        self._greenlet = greenlet.greenlet(self._run)
        # What the trial sets for its context alone (as ``numpy.errstate`` does) is not for the caller's.
        self._greenlet.gr_context = contextvars.copy_context()

    @property
    def ended(self) -> bool:
        """Whether the trial is over."""
        return bool(self._greenlet.dead)

    def go_on(self) -> list[EngineEvent]:
        """Train until the end of the next epoch, or of the trial.

        Returns:
            What happened.

        Raises:
            CannotGoOn: it can't go on exactly from its checkpoint.
        """
        self._last.stops = self.stopped
        return self._switch("go on")  # type: ignore[no-any-return]

    def checkpoint(self) -> Checkpoint | str:
        """A copy of the whole state of a trial that waits at the end of an epoch; or why there is none."""
        return self._switch("copy")  # type: ignore[no-any-return]

    def abandon(self) -> Sequence[Event]:
        """End it where it stands.

        Returns:
            Its end, if it has come to it; else its last finished epoch, and the state after it. They may have
            been reported before.
        """
        if self._greenlet and not self._greenlet.dead:
            self._greenlet.parent = greenlet.getcurrent()
            self._greenlet.throw(greenlet.GreenletExit)
        if self._final is not None:
            return [self._final]
        ended, cut = self._last.latest
        if cut is None and self._job.forked and self._checkpoint is not None:  # nobody else has this state
            cut = CutOff(self.trial, self._checkpoint.epoch, self._checkpoint.weights)
        return [event for event in (ended, cut) if event is not None]

    def _switch(self, request: str) -> Any:
        self._greenlet.parent = greenlet.getcurrent()
        return self._greenlet.switch(request)

    def _leave_session(self, answer: Any) -> Any:
        """Hand an answer over, outside of the session; returns the next request."""
        began = time.perf_counter()
        try:
            with self._session.left():
                return greenlet.getcurrent().parent.switch(answer)
        finally:
            self._away += time.perf_counter() - began

    def _run(self, request: str) -> list[EngineEvent]:
        """What runs in the greenlet: the events since the last epoch are its result."""
        began = time.perf_counter()
        try:
            with self._session:
                weights, kept = self._fit()
            seconds = time.perf_counter() - began - self._away
            memory = _memory(self._last.end, weights)
            self._final = TrialDone(
                self.trial, seconds, weights, memory=memory, weights_epoch=kept, stopped=self.stopped
            )
        except trial_memory.CannotGoOn:
            raise
        except Exception as error:
            seconds, text = time.perf_counter() - began - self._away, traceback.format_exc()
            epoch = self._first.epoch
            self._final = TrialFailed(self.trial, epoch, one_line(error), text, seconds, error)
        return [*self._last.events, self._final]

    def _fit(self) -> tuple[Weights | None, int | None]:
        """Build the model and train it.

        Returns:
            The trained weights, None for the caller's own model; and the epoch whose logs they have.
        """
        builder = self._resources.builder_of(self._job)
        forget_foreign_traces()
        model = builder.build(self.trial)
        if self._job.phase:
            phases.change_model(self._job, builder, model, self._resources.data_of(self._job).parts)
        while True:
            self._fit_phase(builder, model)
            weights = None if builder.in_place else replace(weights_of(model), phase=self._job.phase)
            if weights is None or self.stopped or not phases.has_next(self._job):
                break
            self._enter_next_phase(builder, model, weights)
        return weights, self._first.kept.epoch_of(model, read_state(model))

    def _fit_phase(self, builder: Builder, model: keras.Model) -> None:
        """Call ``fit`` once."""
        job = self._job
        described = builder.describe(job, model, self._resources.data_of(job).parts)
        if described is not None:
            self._last.events.append(described)
        self._last.others = self._resources.callbacks_of(job) or []
        self._last.held_by_several = self._resources.held_by_several(job)
        self._last.in_place = builder.in_place
        arguments = self._resources.arguments_of(job)
        if self._checkpoint is not None:
            arguments["initial_epoch"] = self._checkpoint.epoch
        if self._checkpoint is not None or job.phase:
            trial_memory.append_to_files(self._last.others, int(arguments["initial_epoch"]))
        self._last.held = held = self._resources.watch_shared(job, model)
        try:
            model.fit(**arguments, callbacks=[self._first, *self._last.others, self._last], verbose=0)
        except BaseException:
            held.restore()
            raise
        held.check()

    def _enter_next_phase(self, builder: Builder, model: keras.Model, weights: Weights) -> None:
        """Change the model, and let the next ``fit`` have callbacks of its own."""
        assert builder.change is not None
        before = self._last
        epoch = self._job.first_epoch if before.next_epoch is None else before.next_epoch
        ended = phases.opening(self._job, epoch, weights, generators_now(), 0.0)
        self._job, self._checkpoint = phases.next_job(self._job, ended), None
        self._first = First()
        self._last = Last(self._job, None, before.can_repeat, self._first, self._leave_session)
        self._last.events, self._last.latest = before.events, before.latest
        if before.can_repeat and self._job.pace is not None:
            self._last.events.append(ended)
        builder.change(self.trial, model, self._job.phase)


def _memory(end: Checkpoint | None, weights: Weights | None) -> Mapping[str, Any] | None:
    """What more epochs could go on from: the memory at the end, if training's end changed no weight."""
    if end is None or weights is None or not same_weights(weights.state, end.weights.state):
        return None
    return end.memory
