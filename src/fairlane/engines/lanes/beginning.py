"""What a lane begins with: its callbacks, and its model as ``fit`` builds it before the first epoch.

In: a job. Out: a `Beginning`. Everything here happens in the trial's own session. `Replicas` makes one
without building a model, where a model of another seed is known to be alike; and `Prebuilt` knows what Keras
would build, where a model differs from a known one in numbers alone.
"""

from __future__ import annotations

import jax
import keras
import numpy as np

from fairlane.engines import phases
from fairlane.engines.contract import Job
from fairlane.engines.data.fit_data import FitData
from fairlane.engines.data.sources import Reading, Source
from fairlane.engines.eligibility import refuse_step_limit, refuse_unsuitable_model
from fairlane.engines.lanes.built import Beginning, Birth, Built
from fairlane.engines.lanes.callbacks import LaneCallbacks
from fairlane.engines.lanes.examination import Examination
from fairlane.engines.lanes.prebuilt import Prebuilt
from fairlane.engines.resources import Resources, session_of
from fairlane.engines.weights_epoch import KeptWeights
from fairlane.models import keras_private
from fairlane.models.callback_memory import trial_memory
from fairlane.models.initial_values import Drawing
from fairlane.models.streams import generators_now
from fairlane.models.variables import metrics_at_rest, read_state
from fairlane.trials import Checkpoint


def begin(
    job: Job, resources: Resources, data: FitData, checkpoint: Checkpoint | None, prebuilt: Prebuilt
) -> Beginning:
    """Build a job's model, and all that ``fit`` makes before its first epoch.

    Args:
        job: the job.
        resources: what it names by a key.
        data: its data, taken apart.
        checkpoint: what it goes on from, or None to begin.
        prebuilt: knows what Keras makes of models that differ in numbers alone.

    Raises:
        Unsuitable: it can't run on lanes.
        CannotGoOn: its callbacks can't go on exactly from the checkpoint.
    """
    session, in_place = session_of(job), resources.builder_of(job).in_place
    with session, Drawing() as drawing:
        limit = keras.config.max_steps_per_epoch()
        model = resources.builder_of(job).build(job.trial)
        after_builder, looks = generators_now(), drawing.looks
        if job.phase:
            phases.change_model(job, resources.builder_of(job), model, data)
        described = resources.builder_of(job).describe(job, model, data)
        refuse_unsuitable_model(model, data.validation is not None)
        refuse_step_limit(limit)
        most_epochs = keras.config.max_epochs()  # the builder may have set it, for this trial
        unbuilt = prebuilt.look(job, data, model)
        known = None if unbuilt is None else prebuilt.find(job, data, unbuilt)
        untraced = unbuilt is not None and prebuilt.untraced.takes(job, data, unbuilt)
        if known is None:
            reading, steps = _build_variables(job, resources, data, model, checkpoint, untraced)
            held = resources.watch_shared(job, model)
            callbacks = _begin_training(job, resources, model, steps, checkpoint)
            if callbacks.users:
                held.check()
            rest = metrics_at_rest(model)
            if checkpoint is not None:
                trial_memory.refuse_incomplete(checkpoint.memory)
                trial_memory.restore_layers(checkpoint, model)
            kept, directions = KeptWeights(model, callbacks.users), keras_private.metric_directions(model)
        birth = Birth(drawing, looks, after_builder, generators_now(), unbuilt)
    if known is not None:
        return known.begin(job, data, session, birth, most_epochs, described)
    examination = Examination(model, session, rest, callbacks.eager, in_place)
    state = read_state(model)
    if callbacks.users or held:  # `evaluate`, in a callback or of what is shared, uses up the model's arrays
        state = jax.tree.map(np.array, state)
    built = Built(model, session, examination, rest, steps, most_epochs, directions)
    return Beginning(
        built, session, state, callbacks, kept, held, birth, reading=reading, described=described
    )


def _build_variables(
    job: Job,
    resources: Resources,
    data: FitData,
    model: keras.Model,
    checkpoint: Checkpoint | None,
    untraced: bool,
) -> tuple[Reading | None, int | None]:
    """Build all variables of a model.

    Returns:
        What its training batches are read from, or None; and how many an epoch has, or None.
    """
    steps_per_execution, reading = int(model.steps_per_execution), None
    if isinstance(data.training, Source):
        at = None if checkpoint is None else checkpoint.memory["generators"]
        reading = data.training.join(model, steps_per_execution, at)
        steps = reading.steps
    else:
        iterator = data.training.iterator(steps_per_execution)
        steps = iterator.num_batches
        build = keras_private.build_for_output if untraced else keras_private.symbolic_build
        build(model, iterator)
    if isinstance(data.validation, Source):
        data.validation.check()
    settle = resources.builder_of(job).settle
    if settle is not None:
        settle(job.trial, model)
    return reading, steps


def _begin_training(
    job: Job, resources: Resources, model: keras.Model, steps: int | None, checkpoint: Checkpoint | None
) -> LaneCallbacks:
    """Make the callbacks, and call their ``on_train_begin``."""
    in_place, made = resources.builder_of(job).in_place, resources.callbacks_of(job)
    callbacks = LaneCallbacks(job.trial, model, made, job.epochs, steps, in_place)
    model.stop_training = False
    if checkpoint is not None or job.phase:
        epoch = job.first_epoch if checkpoint is None else checkpoint.epoch
        trial_memory.append_to_files(callbacks.users, epoch)
    callbacks.train_begin()
    return callbacks
