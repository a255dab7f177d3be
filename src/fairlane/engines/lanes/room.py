"""Room for models of sizes that come later: a search knows the smallest and largest that it may draw.

In: a lane, and the trials at the extremes of its search (`Job.extremes`), which nobody trains. Out: what a
fleet needs to know of their models, so that its first program is wide enough for all that come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fairlane.engines.contract import Job
from fairlane.engines.data.fit_data import Batches, FitData
from fairlane.engines.eligibility import refuse_unsuitable_model
from fairlane.engines.lanes.examination import Examination
from fairlane.engines.lanes.fleet import Member
from fairlane.engines.lanes.lane import Lane
from fairlane.engines.program.sizes.run import shapes_of_one
from fairlane.engines.program.tracing import Kind, Registry
from fairlane.engines.resources import Resources, session_of
from fairlane.models import keras_private
from fairlane.models.variables import metrics_at_rest, read_state


def members_at_extremes(
    lane: Lane, resources: Resources, data: FitData, kinds: Sequence[Kind], registry: Registry
) -> list[Member]:
    """The models at the extremes of a lane's search, as far as they can be built and traced.

    Args:
        lane: the first one of its fleet.
        resources: what its job names by a key.
        data: its data, taken apart.
        kinds: the steps that it needs.
        registry: what is known from other lanes; more is added.
    """
    found = []
    for trial in lane.job.extremes:
        try:
            found.append(_member(replace(lane.job, trial=trial), lane, resources, data, kinds, registry))
        except Exception:
            # A builder may refuse what nobody has asked for yet. The same error comes of a trial that asks.
            continue
    return [member for member in found if member is not None]


def _member(
    job: Job, lane: Lane, resources: Resources, data: FitData, kinds: Sequence[Kind], registry: Registry
) -> Member | None:
    """A model that is built and not trained; None where it can't be in one fleet with a lane."""
    session, builder, validates = session_of(job), resources.builder_of(job), data.validation is not None
    assert isinstance(data.training, Batches)
    with session:
        model = builder.build(job.trial)
        refuse_unsuitable_model(model, validates)
        if int(model.steps_per_execution) != lane.steps_per_execution:
            return None
        keras_private.symbolic_build(model, data.training.iterator(lane.steps_per_execution))
        if builder.settle is not None:
            builder.settle(job.trial, model)
        rest = metrics_at_rest(model)
    examination = Examination(model, session, rest, eager=False, in_place=False)
    state = read_state(model)
    examination.examine(state, kinds, registry, validates)
    if examination.tracing is not None or examination.family() != lane.examination.family():
        return None
    return Member(model, session, examination, shapes_of_one(state), varies=True)


def has_room_to_make(lane: Lane, data: FitData) -> bool:
    """Whether it is of use to look at the extremes of a lane's search.

    Args:
        lane: the first one of its fleet.
        data: its data, taken apart.
    """
    if lane.examination.tracing is not None or lane.job.phase:
        return False
    return bool(lane.job.extremes) and isinstance(data.training, Batches)
