"""Whether another way to build a model gives the same model, found out by building one more.

In: what a lane began with, whose model Keras has built as ever, and another way to build one. Out: whether
both ways give the same, to the last bit, for a model of another seed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from fairlane.engines.contract import Job
from fairlane.engines.data.fit_data import Batches, FitData
from fairlane.engines.data.orders import BatchOrder
from fairlane.engines.lanes.built import Beginning, Unbuilt
from fairlane.engines.program.structure import structure
from fairlane.engines.resources import Builder
from fairlane.kit.values import same_bits, same_trees
from fairlane.models.initial_values import Drawing
from fairlane.models.session import Session
from fairlane.models.streams import generators_now
from fairlane.models.variables import metrics_at_rest, variable_groups
from fairlane.trials import Arrays

Build = Callable[[keras.Model, Unbuilt, Any], None]
"""Builds what is left of a model, whose `Unbuilt` is given, for the batches of an iterator."""


def is_built_alike(
    builder: Builder, job: Job, data: FitData, found: Beginning, unbuilt: Unbuilt, build: Build
) -> bool:
    """Whether another way to build gives a model of another seed what the usual way gave a job's model.

    Args:
        builder: of the job.
        job: whose model was built.
        data: what it is trained on.
        found: what it became.
        unbuilt: the model as its builder returned it.
        build: the other way.
    """
    assert job.trial.seed is not None
    assert isinstance(data.training, Batches)
    session, steps = Session(job.trial.seed ^ 1), found.built.steps_per_execution
    with session, Drawing():
        model = builder.build(job.trial)
        other, before = Unbuilt.of(model), generators_now()
        build(model, other, data.training.iterator(steps))
        rest, after, built = metrics_at_rest(model), generators_now(), structure(model)
        slots = slots_of(model, other)
    session.set_generators(before)
    BatchOrder(data.training, session, steps).skip_first_read()
    expected, examination = session.generators(), found.built.examination
    usual = slots_of(found.built.model, unbuilt)
    return (
        (other.structure.key, other.names) == (unbuilt.structure.key, unbuilt.names)
        and same_trees(other.structure.numbers, unbuilt.structure.numbers, same_bits)
        and built.key == examination.structure.key
        and same_trees(built.numbers, examination.numbers, same_bits)
        and slots is not None
        and usual is not None
        and same_trees([*slots, *rest], [*usual, *found.built.rest], same_bits)
        and after[0] == expected[0]
        and all(map(np.array_equal, after[1], expected[1]))
    )


def slots_of(model: keras.Model, unbuilt: Unbuilt) -> Arrays | None:
    """The values of the variables that an optimizer has since its model was built.

    Args:
        model: built, and not trained.
        unbuilt: the same as its builder returned it.

    Returns:
        The values; None where building changed more.
    """
    trainable, rest, optimizer = variable_groups(model)[:3]
    before = unbuilt.variables
    own = len(before[2])
    same = [[*map(id, group)] for group in (trainable, rest, optimizer[:own])]
    if same != [[*map(id, group)] for group in before]:
        return None
    return [np.array(variable.value) for variable in optimizer[own:]]


def drew_nothing(found: Beginning) -> bool:
    """Whether Keras has drawn nothing from Python's generator and its own since the builder has returned."""
    assert found.birth is not None
    alike = found.birth.after_builder[0] == found.birth.after_all[0]
    return bool(alike and not found.built.session.has_drawn_globally)
