"""The lanes engine for sessions on another backend than JAX: the work is done in a worker process.

In: a feed of jobs. Out: their events, as `engine.run` yields them. Each model is built here,
on the session's own backend; its values go to the worker, which builds it again on JAX, trains it in lanes
and returns the trained values. What can't travel, or does not run on JAX, comes back as `Declined`.
"""

from __future__ import annotations

import os
import pickle
import queue
import sys
import time
import warnings
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import keras

from fairlane.engines.contract import Declined, Feed, Job, one_line
from fairlane.engines.data.fit_data import Batches
from fairlane.engines.lanes.engine import failed
from fairlane.engines.workers import messages, process
from fairlane.engines.workers.messages import Reference, Task, Work
from fairlane.engines.workers.parcel import PLAIN, Parcel, Segments, Slots
from fairlane.engines.workers.process import Process, WorkerDied
from fairlane.errors import FairlaneWarning
from fairlane.kit.call_sites import caller, warn_at
from fairlane.models import keras_private
from fairlane.models.callback_memory.attributes import set_own_attributes
from fairlane.models.recipes.portable import PortableRecipe
from fairlane.models.variables import weights_of, write_state
from fairlane.trials import EpochEnded, Event, State, TrialDone, TrialFailed, TrialStarted, Weights

_SECONDS_TO_STOP, _SECONDS_TO_KEEP = 5.0, 60.0
"""How long a run that is broken off may take to end its epochs before the worker is ended by force; and how
long where it is to hand back the caller's own models."""


def run(feed: Feed) -> Generator[Event | Declined]:
    """Run every job of the feed that lanes can run, in the worker process.

    Args:
        feed: the jobs.

    Yields:
        The events of each trial; `Declined` for a job that can't run there.
    """
    engine = _Engine(feed)
    try:
        yield from engine.run()
    finally:
        engine.close()


@dataclass(eq=False)
class _Common:
    """An object that jobs refer to.

    Attributes:
        number: its number.
        value: the object.
        parcel: the object packed, until it is sent.
        foreign: packages that it names and JAX can't trace.
    """

    number: int
    value: Any
    parcel: Parcel | None
    foreign: frozenset[str]


@dataclass(eq=False)
class _Sent:
    """A job that the worker has, or is about to get.

    Attributes:
        job: the job.
        work: the message.
        common: what it refers to.
        model: the caller's own, else None.
        steps: how many batches an epoch has.
        callbacks: those made for it.
        foreign: packages that it names and JAX can't trace.
        layers: what its layers hold besides their variables; None for the caller's own, which holds it.
    """

    job: Job
    work: Work
    common: list[_Common]
    model: Any
    steps: int | None
    callbacks: Sequence[Any]
    foreign: frozenset[str]
    layers: Any
    _history: Any = None

    def begin_history(self) -> None:
        """Give the caller's own model its ``history``, as ``fit`` does."""
        if self.model is not None:
            epochs = int(self.job.arguments.get("epochs", 1))
            self._history = keras.callbacks.CallbackList(
                [], add_history=True, model=self.model, verbose=0, epochs=epochs, steps=self.steps
            )
            self._history.on_train_begin()

    def note_epoch(self, event: EpochEnded) -> None:
        """Write an epoch into it."""
        if self._history is not None:
            self._history.on_epoch_end(event.epoch, dict(event.logs))

    def remind_callbacks(self, pickled: bytes | None) -> None:
        """Let the callbacks made here know what their twins in the worker have seen."""
        set_own_attributes(self.callbacks, _loaded(pickled) or ())


class _Engine:
    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._alone: deque[Job] = deque()
        self._deaths: dict[Job, int] = {}
        self._segments = Segments()
        self._process: Process | None = None
        self._running = False
        self._replaced = False
        self._ready: _Sent | None = None
        self._going: dict[int, _Sent] = {}
        self._loaded: list[Parcel] = []
        self._common: dict[int, _Common] = {}
        self._known: set[int] = set()

    def close(self) -> None:
        """Leave the worker idle, or end it; unlink all shared memory."""
        try:
            if self._process is not None and self._running:
                with suppress(WorkerDied, queue.Empty):
                    self._break_off(self._process)
        finally:
            if self._process is not None:  # still in the midst of something
                self._process.kill()
                self._process = None
            self._segments.close()

    def run(self) -> Generator[Event | Declined]:
        while self._alone or len(self._feed) or self._ready is not None:
            # What was on a worker that died is tried once more at the end, one by one.
            done = self._ready is None and not len(self._feed)
            yield from self._round(Feed([self._alone.popleft()]) if done else self._feed)

    def _round(self, feed: Feed) -> Generator[Event | Declined]:
        """One run of the engine in the worker."""
        try:
            yield from self._prepare(feed)
            if self._ready is None:
                return
            self._process = process.borrow()
            self._known.clear()
            self._process.send(self._begin(1 + len(feed)))
            self._running = True
            yield from self._listen(self._process, feed)
        except WorkerDied as death:
            yield from self._bury(death, feed)
        else:
            self._running = False
            process.give_back(self._process)
            self._process = None

    def _listen(self, worker: Process, feed: Feed) -> Generator[Event | Declined]:
        while True:
            message = worker.receive()
            if isinstance(message, messages.OWN):
                _pass_on(message)
                continue
            while self._loaded:  # the run goes on only when it has copied what it was sent
                self._segments.release(self._loaded.pop())
            match message:
                case messages.Wanted():
                    yield from self._prepare(feed)
                    self._hand_over(worker)
                case messages.Told():
                    yield self._event(message)
                case messages.Refused():
                    yield self._refused(message)
                case messages.Over():
                    yield from self._left_over(message.error)
                    return
            yield from self._prepare(feed)  # while the worker is busy

    # --- sending ------------------------------------------------------------------------------------

    def _begin(self, total: int) -> messages.Begin:
        settings = {
            "floatx": keras.config.floatx(),
            "epsilon": keras.config.epsilon(),
            "image_data_format": keras.config.image_data_format(),
            "dtype_policy": keras.config.dtype_policy(),
        }
        path = tuple(entry or os.getcwd() for entry in sys.path)
        parcel = self._pack(settings)
        custom: dict[str, Parcel] = {}
        for name, value in keras_private.custom_objects().items():
            with suppress(Exception):  # what needs it says so when it is built
                custom[name] = self._pack(value)
        return messages.Begin(total, os.getcwd(), path, parcel, custom)

    def _pack(self, value: Any) -> Parcel:
        parcel = self._segments.pack(value)
        self._loaded.append(parcel)
        return parcel

    def _hand_over(self, worker: Process) -> None:
        sent, self._ready = self._ready, None
        if sent is None:
            worker.send(messages.NoMore())
            return
        self._going[sent.work.number] = sent
        for common in sent.common:
            if common.number not in self._known:
                self._known.add(common.number)
                worker.send(messages.Common(common.number, self._taken(common)))
        self._loaded.append(sent.work.parcel)
        worker.send(sent.work)

    def _taken(self, common: _Common) -> Parcel:
        """The parcel of an object; packed again for a second worker."""
        if common.parcel is None:
            return self._pack(common.value)
        parcel, common.parcel = common.parcel, None
        self._loaded.append(parcel)
        return parcel

    # --- making jobs ready --------------------------------------------------------------------------

    def _prepare(self, feed: Feed) -> Generator[Event | Declined]:
        """Make the next job that can travel ready, if none is."""
        while self._ready is None and (job := feed.take()) is not None:
            try:
                self._ready = self._made_ready(job)
            except _CannotTravel as reason:
                yield Declined(job, str(reason))
            except Exception as error:
                yield failed(job, None, error, 0.0)

    def _made_ready(self, job: Job) -> _Sent:
        """Build the trial's model here, and pack what the worker needs to train it.

        Raises:
            _CannotTravel: it can't be sent.
            Exception: whatever the builder or the callbacks' function raises.
        """
        assert job.data is not None, job.reason
        training = job.data.training
        if not isinstance(training, Batches):
            raise _CannotTravel(data_reason(job.arguments))
        with job.session():
            model = job.model()
            if model.optimizer is None:
                raise _CannotTravel("the model is compiled without an optimizer")
            iterator = training.iterator(int(model.steps_per_execution))
            steps = iterator.num_batches
            try:
                keras_private.symbolic_build(model, iterator)
            except Exception as error:
                raise _CannotTravel(
                    f"the model can't be built before training ({one_line(error)})"
                ) from error
            callbacks = job.callbacks() if job.callbacks is not None else None
        _check_callbacks(callbacks or ())
        common: list[_Common] = []
        with _travelling("the model"):
            made = self._shared(job.builder, common) if job.builder is not None else PortableRecipe.of(model)
        arguments = {}
        for name, value in job.arguments.items():
            with _travelling(f"{name}={type(value).__name__}"):
                arguments[name] = value if isinstance(value, PLAIN) else self._shared(value, common)
        variant = job.trial.variant
        task = Task(
            dict(variant.hyperparameters),
            dict(variant.fit_arguments),
            job.trial.seed,
            made,
            arguments,
            callbacks,
            job.in_place,
            job.varying,
            job.alike,
        )
        with _travelling("the model, its hyperparameters or callbacks"):
            parcel = self._segments.pack(task)
        foreign = parcel.foreign.union(*(c.foreign for c in common))
        state = weights_of(model)
        if any(array.dtype == "float64" for array in state.state.trainable):
            raise _CannotTravel("its variables are float64, and lanes on JAX compute in float32")
        slots = self._segments.slots(state.state.flat())
        work = Work(job.trial.number, parcel, slots, state.state.sizes)
        own, layers = (model, None) if job.in_place else (None, state.layers)
        return _Sent(job, work, common, own, steps, callbacks or (), foreign, layers)

    def _shared(self, value: Any, common: list[_Common]) -> Reference:
        """What stands for an object that several jobs have; it is packed once."""
        known = self._common.get(id(value))
        if known is None:
            parcel = self._segments.pack(value)
            known = _Common(len(self._common), value, parcel, parcel.foreign)
            self._common[id(value)] = known
        common.append(known)
        return Reference(known.number)

    # --- receiving ----------------------------------------------------------------------------------

    def _event(self, told: messages.Told) -> Event:
        """The event as this session's driver is to see it."""
        sent = self._going[told.number]
        trial = sent.job.trial
        match told.event:
            case TrialStarted() as event:
                sent.begin_history()
                return replace(event, trial=trial)
            case EpochEnded() as event:
                sent.note_epoch(event)
                return replace(event, trial=trial)
            case TrialDone() as event:
                assert told.slots is not None
                trained = self._weights(sent, told.slots)
                if sent.model is not None:
                    write_state(sent.model, trained)
                sent.remind_callbacks(told.callbacks)
                self._forget(sent)
                return replace(event, trial=trial, weights=trained if sent.model is None else None)
            case TrialFailed() as event:
                if sent.model is not None and told.slots is not None:
                    write_state(sent.model, self._weights(sent, told.slots))
                self._forget(sent)
                return replace(event, trial=trial, exception=_loaded(told.exception))
            case event:
                raise TypeError(f"an engine does not tell of {type(event).__name__}")

    def _weights(self, sent: _Sent, slots: Slots) -> Weights:
        """The state in a trial's slots."""
        return Weights(State.of_flat(self._segments.read(slots), sent.work.groups), sent.layers)

    def _refused(self, refused: messages.Refused) -> Declined:
        sent = self._going[refused.number]
        self._forget(sent)
        reason = refused.reason
        if refused.error:
            foreign = refused.foreign or next(iter(sorted(sent.foreign)), "")
            if foreign:
                what = "model" if sent.job.builder is None else "builder"
                reason = f"the {what} uses {foreign}, and lanes run on JAX ({reason})"
            else:
                reason = f"on JAX, in the worker process, it fails before training ({reason})"
        return Declined(sent.job, reason)

    def _forget(self, sent: _Sent) -> None:
        self._going.pop(sent.work.number, None)
        self._segments.release(sent.work.slots)
        self._segments.release(sent.work.parcel)

    # --- endings ------------------------------------------------------------------------------------

    def _left_over(self, error: str) -> Generator[Event | Declined]:
        """Jobs that the worker took and does not speak of any more, because its engine raised."""
        for sent in list(self._going.values()):
            self._forget(sent)
            yield Declined(sent.job, f"the worker process could not go on ({error})")

    def _bury(self, death: WorkerDied, feed: Feed) -> Generator[Event | Declined]:
        """The worker is no more: what it had is tried once more, each trial by itself."""
        had_worked = self._process is not None and self._process.ready
        if self._process is not None:
            self._process.kill()
        self._process, self._running = None, False
        lost = list(self._going.values())
        again: list[Job] = []
        for sent in lost:
            self._forget(sent)
            self._deaths[sent.job] = self._deaths.get(sent.job, 0) + 1
            if self._deaths[sent.job] > 1:
                text = f"the worker process died twice with this trial: {death}"
                yield TrialFailed(sent.job.trial, None, text, f"{text}\n")
            else:
                again.append(sent.job)
        self._alone += again
        if again:
            warn_at(caller(), _obituary(death, again), FairlaneWarning)
        if not lost and had_worked and not self._replaced:
            self._replaced = True  # it may have been killed while it waited for work
        elif not lost:  # it died before it took a job, so another would too
            waiting = [] if self._ready is None else [self._ready.job]
            self._ready = None
            for jobs in (feed, self._feed, Feed(self._alone)):
                while (job := jobs.take()) is not None:
                    waiting.append(job)
            self._alone.clear()
            for job in waiting:
                yield Declined(job, f"there is no worker process to train it on JAX: {death}")

    def _break_off(self, worker: Process) -> None:
        """Ask the worker to stop, and take what it has learned into the caller's own models."""
        in_place = any(sent.model is not None for sent in self._going.values())
        deadline = time.monotonic() + (_SECONDS_TO_KEEP if in_place else _SECONDS_TO_STOP)
        worker.send(messages.Stop())
        while not isinstance(message := worker.receive(max(0.0, deadline - time.monotonic())), messages.Over):
            if isinstance(message, messages.Told):
                self._event(message)
            elif isinstance(message, messages.Kept):
                sent = self._going[message.number]
                write_state(sent.model, self._weights(sent, message.slots))
        process.give_back(worker)
        self._process = None


# --- small parts ----------------------------------------------------------------------------------------


def data_reason(arguments: Mapping[str, Any]) -> str:
    """Why data can't go to the worker process, where they are no arrays; empty where they can.

    Args:
        arguments: of ``Model.fit``.
    """
    sources = {"x": (arguments.get("x"), arguments.get("y"), arguments.get("sample_weight"))}
    if (held_out := arguments.get("validation_data")) is not None:
        sources["validation_data"] = keras.utils.unpack_x_y_sample_weight(held_out)
    for name, parts in sources.items():
        if not keras_private.is_array_data(*parts):
            return f"{name} is a {type(parts[0]).__name__}, and only arrays go to the worker process"
    return ""


class _CannotTravel(Exception):
    """The job can't go to the worker; the message says why."""


@contextmanager
def _travelling(what: str) -> Iterator[None]:
    """Say what it is that can't be packed."""
    try:
        yield
    except Exception as error:
        raise _CannotTravel(f"{what} can't be sent to the worker process ({one_line(error)})") from error


def _check_callbacks(callbacks: Sequence[Any]) -> None:
    """Raise where one is not Keras's own: it might change, or look at, objects of this session."""
    for callback in callbacks:
        kind = type(callback)
        if kind.__module__.partition(".")[0] != "keras" or isinstance(
            callback, keras.callbacks.LambdaCallback
        ):
            raise _CannotTravel(
                f"callback {kind.__name__} runs code of yours, which belongs to this session, and lanes run "
                "in a worker process"
            )


def _loaded(pickled: bytes | None) -> Any:
    if pickled is None:
        return None
    try:
        return pickle.loads(pickled)
    except Exception:  # its class can't be loaded here; the traceback tells of it
        return None


def _pass_on(message: Any) -> None:
    """What the trials' code prints and warns of."""
    if isinstance(message, messages.Printed):
        print(message.text, end="")
    elif isinstance(message, messages.Warned):
        warning = _loaded(message.warning)
        if warning is not None:
            warnings.warn_explicit(*warning)


def _obituary(death: WorkerDied, jobs: Sequence[Job]) -> str:
    listed = ", ".join(str(job.trial) for job in jobs[:5])
    more = f" and {len(jobs) - 5} more" if len(jobs) > 5 else ""
    return (
        f"the worker process that trains for this session died: {death}. {listed}{more} had begun, and will "
        "each be begun anew by itself, once"
    )
