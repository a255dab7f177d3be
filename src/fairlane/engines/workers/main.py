"""The worker process: runs the lanes engine on JAX for a session on another backend.

In: messages from its session, through the pipe that was its standard input. Out: messages, through the one
that was its standard output. It ends when the session does, however that ends.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import sys
import traceback
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import cloudpickle

from fairlane.engines.contract import (
    NOT_YET,
    OVER,
    Declined,
    EngineEvent,
    ForkRefused,
    GoOn,
    Idle,
    Job,
    Nothing,
    Order,
    Stop,
)
from fairlane.engines.data.fit_data import DATA_ARGUMENTS, FitData
from fairlane.engines.lanes import LanesEngine
from fairlane.engines.lanes.memory import room_for_data
from fairlane.engines.resources import Builder, CallbackMaker, Resources, TrainingData
from fairlane.engines.workers import messages
from fairlane.engines.workers.line import Line, Printer, pass_warning_on
from fairlane.engines.workers.messages import Begin, Common, NoMore, NotYet, Reference, Task, Work
from fairlane.engines.workers.parcel import FOREIGN, PLAIN, Slots
from fairlane.engines.workers.settings import settle
from fairlane.kit.error_text import one_line
from fairlane.models import keras_private
from fairlane.models.callback_memory.attributes import own_attributes
from fairlane.models.recipes.portable import PortableRecipe
from fairlane.models.variables import variable_groups, weights_of, write_state
from fairlane.trials import ModelDescribed, State, Trial, TrialDone, TrialFailed, Variant, Weights


def main(read: int, write: int) -> None:
    """Serve one session, until it ends.

    Args:
        read: the file descriptor to read messages from.
        write: the file descriptor to write them to.
    """
    keras_private.without_tensorflow()
    line = Line(os.fdopen(read, "rb"), os.fdopen(write, "wb"))
    sys.stdout = Printer(line)
    warnings.showwarning = partial(pass_warning_on, line)
    line.send(messages.Ready())
    while True:
        message = line.next()
        if isinstance(message, Begin):  # others are what the last run did not wait for
            _Run(line, message).run()
            gc.collect()  # models are full of cycles


class _RemoteFeed:
    """Asks the session for each job when the engine wants it."""

    def __init__(self, fetch: Callable[[], Job | Nothing]) -> None:
        self._fetch = fetch
        self._over = False

    def next(self) -> Job | Nothing:
        """The next job."""
        job = OVER if self._over else self._fetch()
        self._over = job is OVER
        return job


class _RemoteOrders:
    """Asks the session for orders."""

    closed = False

    def __init__(self, line: Line, standing: bool) -> None:
        self._line, self.standing = line, standing

    def take(self, waiting: Collection[Trial]) -> Sequence[Order]:
        """The orders for trials that wait."""
        if self.standing:
            return [GoOn(trial) for trial in waiting]
        if not waiting:
            return ()
        trials = {trial.number: trial for trial in waiting}
        self._line.send(messages.Asked(tuple(trials)))
        answer = self._line.next()
        if not isinstance(answer, messages.Ordered):  # the run is broken off
            return ()
        return [Stop(trials[n]) if stops else GoOn(trials[n]) for n, stops in answer.answers]


class _Run:
    """One run of the engine."""

    def __init__(self, line: Line, begin: Begin) -> None:
        self._line, self._begin = line, begin
        self._common: dict[int, Any] = {}
        self._going: dict[int, _Going] = {}
        self._keys: dict[Any, str] = {}
        self._resources = Resources()

    def run(self) -> None:
        self._line.stopped.clear()
        error = ""
        try:
            begin = self._begin
            settle(begin.settings.open(), begin.folder, begin.path, begin.custom)
            self._serve()
        except Exception as raised:
            print(traceback.format_exc(), file=sys.stderr)
            error = one_line(raised)
        self._line.send(messages.Over(error))

    def _serve(self) -> None:
        orders = _RemoteOrders(self._line, self._begin.standing)
        source = LanesEngine(self._resources).run(_RemoteFeed(self._fetch), orders)
        try:
            for event in source:
                self._report(event)
                if self._line.stopped.is_set():
                    break
        finally:
            source.close()
        for number, going in self._going.items():
            if going.model is not None:  # the caller's own, left by the engine as far as it came
                self._line.send(messages.Kept(number, going.write(weights_of(going.model))))

    # --- jobs ---------------------------------------------------------------------------------------

    def _fetch(self) -> Job | Nothing:
        self._line.send(messages.Wanted())
        while True:
            message = self._line.next()
            if isinstance(message, NoMore):
                return OVER
            if isinstance(message, NotYet):
                return NOT_YET
            number = message.number
            try:
                if isinstance(message, Common):
                    self._common[number] = message.parcel.open()
                else:
                    assert isinstance(message, Work)
                    return self._job(message)
            except Exception as error:
                if isinstance(message, Common):
                    self._common[number] = error
                    continue
                self._refuse(number, error)
                self._line.send(messages.Wanted())

    def _job(self, work: Work) -> Job:
        """A job, with its own builder and callbacks under its number; data are shared."""
        task: Task = work.parcel.open()
        trial = Trial(work.number, Variant(work.number, task.hyperparameters, task.fit_arguments), task.seed)
        going = _Going(work)
        make = self._maker(task, trial)
        callbacks = task.callbacks
        going.callbacks = callbacks or []

        def build(_: Trial) -> Any:
            with _unheard():
                made = make()
            if task.in_place:
                going.model = made
            return made

        arguments = {name: self._resolved(value) for name, value in task.arguments.items()}
        data = self._data_key(arguments)
        self._going[work.number] = going
        key = str(work.number)
        self._resources.builders[key] = Builder(
            build, task.in_place, settle=lambda _, model: going.prepare(model)
        )
        if callbacks is not None:
            self._resources.callbacks[key] = CallbackMaker(lambda _: callbacks)
        return Job(
            trial,
            key,
            data,
            "" if callbacks is None else key,
            {name: value for name, value in arguments.items() if name not in DATA_ARGUMENTS},
            varying=task.varying,
            alike=task.alike,
        )

    def _data_key(self, arguments: Mapping[str, Any]) -> str:
        """The key of a job's data, one for all that have the same."""
        chosen = {name: arguments[name] for name in DATA_ARGUMENTS if name in arguments}
        key = tuple((name, repr(v) if isinstance(v, PLAIN) else id(v)) for name, v in chosen.items())
        if key not in self._keys:
            self._keys[key] = str(len(self._keys))
            parts = FitData.of(chosen, room_for_data())
            self._resources.data[self._keys[key]] = TrainingData(chosen, parts)
        return self._keys[key]

    def _maker(self, task: Task, trial: Trial) -> Callable[[], Any]:
        made = self._resolved(task.model)
        if isinstance(made, PortableRecipe):
            return made.make
        return partial(made, **trial.variant.builder_arguments)

    def _resolved(self, value: Any) -> Any:
        if not isinstance(value, Reference):
            return value
        found = self._common[value.number]
        if isinstance(found, Exception):
            raise found
        return found

    def _refuse(self, number: int, error: BaseException) -> None:
        reason = one_line(unwrapped(error))
        self._line.send(messages.Refused(number, reason, foreign_in(error), error=True))

    def _end(self, number: int) -> _Going:
        """Forget a trial that has ended."""
        del self._resources.builders[str(number)]
        self._resources.callbacks.pop(str(number), None)
        return self._going.pop(number)

    # --- events -------------------------------------------------------------------------------------

    def _report(self, event: EngineEvent) -> None:
        if isinstance(event, Idle):
            self._line.send(messages.Waiting(tuple(trial.number for trial in event.waiting)))
            self._line.next()
            return
        assert not isinstance(event, ModelDescribed | ForkRefused), "the session describes and forks"
        if isinstance(event, Declined):
            number = event.job.trial.number
            self._end(number)
            cause = event.error
            self._line.send(messages.Refused(number, event.reason, foreign_in(cause), cause is not None))
            return
        number = event.trial.number
        without: dict[str, Any] = {"trial": None}
        parts: dict[str, Any] = {}
        if isinstance(event, TrialFailed):
            going = self._end(number)
            if event.epoch is None and event.exception is not None:
                self._refuse(number, event.exception)
                return
            without["exception"] = None
            parts["exception"] = _pickled(event.exception)
            if going.model is not None:
                parts["slots"] = going.write(weights_of(going.model))
        elif isinstance(event, TrialDone):
            going = self._end(number)
            weights = weights_of(going.model) if event.weights is None else event.weights
            without["weights"] = None
            parts = {"slots": going.write(weights), "callbacks": going.remembered()}
        fields = {name: getattr(event, name) for name in type(event).__dataclass_fields__}
        self._line.send(messages.Happened(number, type(event)(**{**fields, **without}), **parts))


class _Going:
    """A job that the engine has taken."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.model: Any = None
        self.callbacks: Sequence[Any] = ()

    def prepare(self, model: Any) -> None:
        """Give the model the session's values.

        Raises:
            ValueError: it has other variables.
        """
        work = self._work
        given = State.of_flat(work.slots.read(), work.groups)
        for kind, variables in zip(State._fields, variable_groups(model), strict=True):
            here = [(tuple(v.shape), str(v.value.dtype)) for v in variables]
            there = [(a.shape, str(a.dtype)) for a in getattr(given, kind)]
            if not _alike(here, there):
                raise ValueError(
                    f"the model has other {kind} variables on JAX ({_described(here)}) than in this "
                    f"session ({_described(there)})"
                )
        write_state(model, given)

    def write(self, weights: Weights) -> Slots:
        """Put a state where the session reads it."""
        return self._work.slots.write(weights.state.flat())

    def remembered(self) -> bytes | None:
        """What the callbacks remember, but for what holds the model."""
        return _pickled(own_attributes(self.callbacks)) if self.callbacks else None


def _alike(here: Sequence[tuple[Any, str]], there: Sequence[tuple[Any, str]]) -> bool:
    """Whether variables have the same shapes, and the floats among them the same dtypes."""
    if len(here) != len(there):
        return False
    for (shape, dtype), (other_shape, other_dtype) in zip(here, there, strict=True):
        floats = "float" in dtype or "float" in other_dtype
        # Torch has no NumPy dtype for bfloat16: such values come as float32, exactly.
        same = dtype == other_dtype or (dtype, other_dtype) == ("bfloat16", "float32")
        if shape != other_shape or (floats and not same):
            return False
    return True


def _described(variables: Sequence[tuple[Any, str]]) -> str:
    shown = ", ".join(f"{dtype} {shape}" for shape, dtype in variables[:3])
    return f"{len(variables)}: {shown}{', ...' if len(variables) > 3 else ''}"


@contextlib.contextmanager
def _unheard() -> Any:
    """What a builder prints and warns of, it has said in the session already."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        yield


def _pickled(value: Any) -> bytes | None:
    """Pickled; None where it can't be."""
    try:
        packed = bytes(cloudpickle.dumps(value))
        pickle.loads(packed)
    except Exception:
        return None
    return packed


def unwrapped(error: BaseException) -> BaseException:
    """What was raised in the model's code, without what Keras says about it."""
    while str(error).startswith("Unable to automatically build the model") and error.__context__ is not None:
        error = error.__context__
    return error


def foreign_in(error: BaseException | None) -> str:
    """The package among ``FOREIGN`` whose code raised an error, or which it says is missing; or empty."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        modules = [type(error).__module__, getattr(error, "name", None) or ""]
        modules += [
            str(frame.f_globals.get("__name__", "")) for frame, _ in traceback.walk_tb(error.__traceback__)
        ]
        for module in modules:
            root = str(module).partition(".")[0]
            if root in FOREIGN:
                return root
        error = error.__cause__ or error.__context__
    return ""
