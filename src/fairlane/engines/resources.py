"""What jobs share and name by a key: builders, data, callbacks. Each is registered once, before engines run.

In: the caller's objects. Out: the same by their keys. Everything of a job that is not plain data is here, so
that a process or machine which has the same resources under the same keys can run the same job.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from fairlane.engines.contract import Job
from fairlane.engines.data.fit_data import DATA_ARGUMENTS, FitData
from fairlane.models.recipes.description import description
from fairlane.models.session import Session
from fairlane.models.sharing import Held
from fairlane.trials import ModelDescribed, Trial

DataArguments = Callable[[Trial], Mapping[str, Any]]
"""A trial → the data arguments of ``Model.fit`` for it."""


@dataclass(eq=False)
class Builder:
    """How the models of trials are made.

    Attributes:
        build: trial → its model, to be called in the trial's session: built again, or the caller's own.
        in_place: whether models are the caller's own, to be left trained.
        shared: a model → its variables that other trials' models have too, and that training must not change.
        portable: a function of a trial's builder arguments that gives such a model in another process, too;
            None where models themselves have to travel.
        settle: called with a trial and its model once all variables exist, before training; None for nothing.
        describes: whether models are to be described: each that is built, as a builder may draw a structure.
        sees_folds: whether it is told the fold, or its samples.
        change: called with a trial, its model and the number of a phase of its training, from 1, to change
            the model as that phase wants it; None where training has one phase.
        elsewhere: what is pickled in its place for another process, and makes it there, from a function that
            gives a trial's data arguments; None where it is pickled itself.
    """

    build: Callable[[Trial], keras.Model]
    in_place: bool = False
    shared: Callable[[keras.Model], list[Any]] | None = None
    portable: Callable[..., keras.Model] | None = None
    settle: Callable[[Trial, keras.Model], None] | None = None
    describes: bool = False
    sees_folds: bool = False
    change: Callable[[Trial, keras.Model, int], None] | None = None
    elsewhere: Callable[[DataArguments], Builder] | None = None

    def describe(self, job: Job, model: keras.Model, data: FitData | None) -> ModelDescribed | None:
        """How a model is built again; None where that is not wanted.

        Of a training in phases it is the model of the last.

        Args:
            job: whose model.
            model: as `build` gave it, or as it was changed for the job's phase.
            data: of the trial.
        """
        if not self.describes or job.phase < len(job.phases):
            return None
        example = None if data is None else data.example()
        return ModelDescribed(job.trial, description(model, example, job.phase))


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The data arguments of ``Model.fit``, and the same taken apart for lanes.

    Attributes:
        arguments: of ``Model.fit``.
        parts: for lanes; None where they can't run there.
        readers: how many jobs are trained on them.
    """

    arguments: Mapping[str, Any]
    parts: FitData | None = None
    readers: int = 1

    def fit_arguments(self) -> dict[str, Any]:
        """Those to call ``Model.fit`` with: taking a generator apart has read its first batches."""
        return {**self.arguments, **({} if self.parts is None else self.parts.again())}


@dataclass(frozen=True, eq=False)
class CallbackMaker:
    """What gives each trial its own callbacks.

    Attributes:
        make: trial → a list of fresh callbacks, to be called in the trial's session.
        held_by_several: the addresses of objects that the callbacks of several trials hold.
        example: gives those of one trial, before they are given out; none where that is not known. They are
            not kept here: callbacks hold their models.
    """

    make: Callable[[Trial], Sequence[Any]]
    held_by_several: frozenset[int] = frozenset()
    example: Callable[[], Sequence[Any]] = list


@dataclass(eq=False)
class Resources:
    """What jobs name by a key.

    Attributes:
        builders: by their keys.
        data: by their keys.
        callbacks: by their keys.
        release: called with each trial that has ended: its data may be freed.
        missing: a trial → that values are missing in its data, in words; empty where none is.
    """

    builders: dict[str, Builder] = field(default_factory=dict)
    data: dict[str, TrainingData] = field(default_factory=dict)
    callbacks: dict[str, CallbackMaker] = field(default_factory=dict)
    release: Callable[[Trial], None] = lambda trial: None
    missing: Callable[[Trial], str] = lambda trial: ""

    def builder_of(self, job: Job) -> Builder:
        """The builder that a job names."""
        return self.builders[job.builder]

    def data_of(self, job: Job) -> TrainingData:
        """The data that a job names."""
        return self.data[job.data]

    def arguments_of(self, job: Job) -> dict[str, Any]:
        """``Model.fit``'s arguments for a job, without ``callbacks`` and ``verbose``."""
        return {**self.data_of(job).fit_arguments(), **job.fit_arguments}

    def callbacks_of(self, job: Job) -> list[Any] | None:
        """A job's own callbacks, made in its session; None where it has none."""
        return list(self.callbacks[job.callbacks].make(job.trial)) if job.callbacks else None

    def held_by_several(self, job: Job) -> frozenset[int]:
        """The addresses of objects that its callbacks hold, and those of other jobs too."""
        return self.callbacks[job.callbacks].held_by_several if job.callbacks else frozenset()

    def watch_shared(self, job: Job, model: keras.Model) -> Held:
        """A watch over what a job's model shares with others."""
        shared = self.builder_of(job).shared
        return Held(shared(model) if shared is not None else (), str(job.trial))


def likeness(hyperparameters: Mapping[str, Any]) -> Hashable:
    """What trials must have in common to share a program, as far as hyperparameters show it."""
    return tuple(
        (name, repr(value))
        for name, value in hyperparameters.items()
        if name in DATA_ARGUMENTS or not isinstance(value, int | float) or isinstance(value, bool)
        if name != "epochs"
    )


def session_of(job: Job) -> Session:
    """A fresh session for a job's trial."""
    return Session(job.trial.seed)
