"""Making jobs ready to travel: a job → what the worker process needs to train it.

In: a job. Out: a `Sent`: the model, built here, on the session's own backend, with its values in shared
memory, and all that the job refers to as parcels; or `Unsuitable`, with the reason.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras

from fairlane.engines.contract import Job
from fairlane.engines.data.fit_data import Batches, FitData
from fairlane.engines.eligibility import Unsuitable, arrays_reason, refuse_callbacks_of_ones_own
from fairlane.engines.resources import Resources, session_of
from fairlane.engines.workers.messages import Reference, Task, Work
from fairlane.engines.workers.parcel import PLAIN, Parcel, Segments
from fairlane.kit.error_text import one_line
from fairlane.models import keras_private
from fairlane.models.callback_memory.attributes import set_own_attributes
from fairlane.models.recipes.portable import PortableRecipe
from fairlane.models.variables import weights_of
from fairlane.trials import EpochEnded, ModelDescribed


@dataclass(eq=False)
class Common:
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
class Sent:
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
        by_builder: whether the worker calls the builder.
        described: how its model is built, where that is to be reported.
    """

    job: Job
    work: Work
    common: list[Common]
    model: Any
    steps: int | None
    callbacks: Sequence[Any]
    foreign: frozenset[str]
    layers: Any
    by_builder: bool
    described: ModelDescribed | None = None
    _history: Any = None

    @property
    def model_travels(self) -> bool:
        """Whether the model itself was sent, and not its builder."""
        return not self.by_builder

    def begin_history(self) -> None:
        """Give the caller's own model its ``history``, as ``fit`` does."""
        if self.model is not None:
            self._history = keras.callbacks.CallbackList(
                [], add_history=True, model=self.model, verbose=0, epochs=self.job.epochs, steps=self.steps
            )
            self._history.on_train_begin()

    def note_epoch(self, event: EpochEnded) -> None:
        """Write an epoch into it."""
        if self._history is not None:
            self._history.on_epoch_end(event.epoch, dict(event.logs))

    def remind_callbacks(self, pickled: bytes | None) -> None:
        """Let the callbacks made here know what their twins in the worker have seen."""
        set_own_attributes(self.callbacks, unpickled(pickled) or ())


class _Built(NamedTuple):
    """What was built in a trial's session."""

    model: Any
    described: ModelDescribed | None
    steps: int | None
    callbacks: list[Any] | None


class Packing:
    """Makes jobs ready.

    Args:
        resources: what they name by a key.
        segments: the shared memory.
    """

    def __init__(self, resources: Resources, segments: Segments) -> None:
        self._resources, self._segments = resources, segments
        self._common: dict[int, Common] = {}

    def made_ready(self, job: Job) -> Sent:
        """Build the trial's model here, and pack what the worker needs to train it.

        Raises:
            Unsuitable: it can't be sent.
            Exception: whatever the builder or the callbacks' function raises.
        """
        builder, data = self._resources.builder_of(job), self._resources.data_of(job)
        given = {**data.arguments, **job.arguments}
        if job.reason or data.parts is None or not isinstance(data.parts.training, Batches):
            raise Unsuitable(job.reason or arrays_reason(given))
        built = self._built(job, data.parts, data.parts.training)
        common: list[Common] = []
        with _travelling("the model"):
            portable = builder.portable
            made = PortableRecipe.of(built.model) if portable is None else self._shared(portable, common)
        arguments = {}
        for name, value in given.items():
            with _travelling(f"{name}={type(value).__name__}"):
                arguments[name] = value if isinstance(value, PLAIN) else self._shared(value, common)
        variant = job.trial.variant
        task = Task(
            dict(variant.hyperparameters),
            dict(variant.fit_arguments),
            job.trial.seed,
            made,
            arguments,
            built.callbacks,
            builder.in_place,
            job.varying,
            job.alike,
        )
        with _travelling("the model, its hyperparameters or callbacks"):
            parcel = self._segments.pack(task)
        foreign = parcel.foreign.union(*(c.foreign for c in common))
        state = weights_of(built.model)
        if any(array.dtype == "float64" for array in state.state.trainable):
            raise Unsuitable("its variables are float64, and lanes on JAX compute in float32")
        slots = self._segments.slots(state.state.flat())
        work = Work(job.trial.number, parcel, slots, state.state.sizes)
        own, layers = (built.model, None) if builder.in_place else (None, state.layers)
        made_by_builder = portable is not None
        return Sent(
            *(job, work, common, own, built.steps, built.callbacks or (), foreign, layers, made_by_builder),
            described=built.described,
        )

    def _built(self, job: Job, data: FitData, training: Batches) -> _Built:
        """Build the trial's model and callbacks in its session, as ``fit`` does before its first epoch."""
        builder = self._resources.builder_of(job)
        with session_of(job):
            model = builder.build(job.trial)
            described = builder.describe(job, model, data)
            if model.optimizer is None:
                raise Unsuitable("the model is compiled without an optimizer")
            iterator = training.iterator(int(model.steps_per_execution))
            steps = iterator.num_batches
            try:
                keras_private.symbolic_build(model, iterator)
            except Exception as error:
                raise Unsuitable(f"the model can't be built before training ({one_line(error)})") from error
            callbacks = self._resources.callbacks_of(job)
        refuse_callbacks_of_ones_own(callbacks or ())
        return _Built(model, described, steps, callbacks)

    def _shared(self, value: Any, common: list[Common]) -> Reference:
        """What stands for an object that several jobs have; it is packed once."""
        known = self._common.get(id(value))
        if known is None:
            parcel = self._segments.pack(value)
            known = Common(len(self._common), value, parcel, parcel.foreign)
            self._common[id(value)] = known
        common.append(known)
        return Reference(known.number)


@contextmanager
def _travelling(what: str) -> Iterator[None]:
    """Say what it is that can't be packed."""
    try:
        yield
    except Exception as error:
        raise Unsuitable(f"{what} can't be sent to the worker process ({one_line(error)})") from error


def unpickled(pickled: bytes | None) -> Any:
    """What was pickled; None where it can't be had here."""
    if pickled is None:
        return None
    try:
        return pickle.loads(pickled)
    except Exception:  # its class can't be loaded here; the traceback has its name
        return None
