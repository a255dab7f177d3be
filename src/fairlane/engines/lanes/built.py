"""What a lane begins with, as values: a model that is built and not trained, and how it came to be.

In: what `beginning` and its helpers find. Out: `Built`, `Unbuilt`, `Birth` and `Beginning`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from fairlane.engines.contract import Job
from fairlane.engines.data.fit_data import Batches, FitData
from fairlane.engines.data.sources import Reading
from fairlane.engines.lanes.callbacks import LaneCallbacks
from fairlane.engines.lanes.examination import Examination
from fairlane.engines.program.structure import Structure, structure
from fairlane.engines.resources import Builder
from fairlane.engines.weights_epoch import KeptWeights
from fairlane.models import keras_private, layer_state
from fairlane.models.initial_values import Drawing
from fairlane.models.session import Session
from fairlane.models.sharing import Held
from fairlane.models.variables import variable_groups
from fairlane.trials import Arrays, ModelDescribed, State


@dataclass(frozen=True, eq=False)
class Built:
    """A model that is built and not trained, and what is known of it.

    Attributes:
        model: the model.
        session: of the trial that it was built for.
        examination: what its program depends on.
        rest: its metrics' variables when reset.
        steps: how many batches an epoch has, or None.
        most_epochs: the limit of epochs that its builder has set, or None.
        directions: what Keras knows of its metrics.
    """

    model: keras.Model
    session: Session
    examination: Examination
    rest: Arrays
    steps: int | None
    most_epochs: int | None
    directions: Mapping[str, str]

    @property
    def steps_per_execution(self) -> int:
        """The model's."""
        return int(self.model.steps_per_execution)


@dataclass(frozen=True, eq=False)
class Unbuilt:
    """A model as its builder returned it.

    Attributes:
        structure: of the model.
        variables: those that it has by then: trainable, non-trainable, the optimizer's.
        layers: what its layers hold besides.
        names: how often Keras had made up each name by then, in the trial's session.
        output: the shape and dtype of its only output, as far as the model itself says them; or None.
    """

    structure: Structure
    variables: Sequence[Sequence[Any]]
    layers: Any
    names: frozenset[tuple[str, int]]
    output: Any = None

    @classmethod
    def of(cls, model: keras.Model) -> Unbuilt:
        """That of a model, in the session of its trial."""
        groups = [list(group) for group in variable_groups(model)[:3]]
        names = frozenset(keras_private.name_counters().items())
        output = keras_private.only_output(model)
        return cls(structure(model), groups, layer_state.read_layers(model), names, output)


@dataclass(frozen=True, eq=False)
class Birth:
    """What was drawn while a model was built.

    Attributes:
        drawing: by initializers.
        looks: how often the builder has read the value of a variable.
        after_builder: where the generators stood when the builder had returned.
        after_all: where they stood when all variables were built.
        unbuilt: the model as the builder returned it, where that is of use.
    """

    drawing: Drawing
    looks: int
    after_builder: Any
    after_all: Any
    unbuilt: Unbuilt | None = None


@dataclass(frozen=True, eq=False)
class Beginning:
    """What a lane begins with.

    Attributes:
        built: a model: the lane's own, or one that is like it but for what a seed decides.
        session: the lane's own.
        state: the values of its variables.
        callbacks: its callbacks, which know that training begins.
        kept: knows which epoch the trained weights are of.
        held: a watch over what its model shares with others.
        birth: how its model was built; None where no builder was called for it.
        slots: what the variables of its optimizer begin with that its own model does not have; none where
            it has all.
        examined: whether `built` is another lane's, whose program is known.
        reading: what it reads its training batches from, or None.
        described: how its model is built, where that is to be reported.
    """

    built: Built
    session: Session
    state: State
    callbacks: LaneCallbacks
    kept: KeptWeights
    held: Held
    birth: Birth | None = None
    slots: Arrays = field(default_factory=list)
    examined: bool = False
    reading: Reading | None = None
    described: ModelDescribed | None = None


def may_be_alike(job: Job, data: FitData, builder: Builder) -> bool:
    """Whether what a job's lane begins with may be known from other lanes.

    Args:
        job: the job.
        data: its data, taken apart.
        builder: that it names.
    """
    whole = isinstance(data.training, Batches) and not data.is_read
    seeded = job.trial.seed is not None
    own = job.callbacks or job.checkpoint or job.phase or builder.in_place or builder.settle
    return whole and seeded and not own
