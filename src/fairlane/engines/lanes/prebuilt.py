"""Further variants of a structure: what a lane begins with, known from its model as the builder returned it.

In: models that builders have returned, and what Keras made of some of them before the first epoch. Out: a
`Beginning` for a model that differs from one of these in numbers alone (a learning rate, a dropout rate, a
momentum) and in the values of its variables, without Keras's symbolic build and without another look at it.

The builder is always called. Its model is walked (`program.structure`), and compared with those that are
known. What Keras then builds (metrics, the loss, the optimizer's moments) is a function of what the walk saw.
That it does not depend on the numbers that differ is proven by a second model of the structure. It is built
as always, and compared with what would have been taken for it, bit for bit. And it is built once more, from
another seed, and with stand-ins in the places of these numbers (`Lift.watched`). Keras may compare them; then
later models have to give the same answer. Where it does anything else with one, models are always built.

As with `replicas`: no model is taken for another which runs foreign code, has callbacks, shares variables or
reads its batches.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np

from fairlane.engines.contract import Job
from fairlane.engines.data.fit_data import Batches, FitData
from fairlane.engines.data.orders import BatchOrder
from fairlane.engines.lanes.built import Beginning, Birth, Built, Unbuilt, may_be_alike
from fairlane.engines.lanes.callbacks import LaneCallbacks
from fairlane.engines.lanes.proofs import drew_nothing, is_built_alike, slots_of
from fairlane.engines.lanes.untraced import Untraced
from fairlane.engines.program.expressions import CannotLift
from fairlane.engines.program.lift import Lift, Numbers
from fairlane.engines.program.structure import Path, Structure
from fairlane.engines.resources import Resources
from fairlane.engines.weights_epoch import KeptWeights
from fairlane.kit.values import same_bits, same_trees, same_values
from fairlane.models import keras_private, layer_state
from fairlane.models.session import Session
from fairlane.models.sharing import Held
from fairlane.trials import Arrays, ModelDescribed, State

_MOST_STRUCTURES, _MOST_BYTES = 64, 2**28
"""How many structures are remembered, the last ones: each holds a model."""
_LARGEST = 2**24
"""Models with more parameters are built: the values that are kept for others would need much memory."""
_SIZES_PER_PROOF = 4
"""A proof takes one more model. Where models have many sizes, few have each: they wait until it will pay."""
_OF_METRICS = frozenset({"_compile_metrics", "_loss_tracker", "_metrics"})
"""Where numbers of metrics are: their results are also computed outside of the program, by Keras's model."""


@dataclass(eq=False)
class Known:
    """What Keras has made of a model, and of which others it would make the same.

    Attributes:
        built: the model, and what it became.
        first: its structure as the builder returned it.
        layers: what its layers held besides their variables.
        slots: the values of the variables that the optimizer has since then.
        places: where numbers of ``first`` are in the model that is built.
        lift: the numbers that may be others, and the comparisons that must have the same answers; None
            where nothing is proven yet.
        refused: numbers that Keras does something else with.
        again: how many more models of the structure were built.
    """

    built: Built
    first: Structure
    layers: Any
    slots: Arrays
    places: Mapping[Path, Path]
    lift: Lift | None = None
    refused: set[Path] = field(default_factory=set)
    again: int = 0

    def differing(self, unbuilt: Unbuilt) -> set[Path]:
        """Where a model's numbers are not those of the first."""
        numbers = unbuilt.structure.numbers
        return {path for path, value in self.first.numbers.items() if not _same(value, numbers[path])}

    def takes(self, unbuilt: Unbuilt) -> bool:
        """Whether Keras would make the same of a model with the first one's key."""
        if self.lift is None or not self.differing(unbuilt) <= set(self.lift.paths):
            return False
        try:
            agrees = self.lift.agrees([unbuilt.structure.numbers])
        except CannotLift:
            return False
        return agrees and same_trees(self.layers, unbuilt.layers, same_values)

    def numbers(self, unbuilt: Unbuilt) -> Numbers:
        """The numbers of a model's program that are not those of the first one's."""
        own = unbuilt.structure.numbers
        return {self.places[path]: own[path] for path in self.differing(unbuilt)}

    def begin(
        self,
        job: Job,
        data: FitData,
        session: Session,
        birth: Birth,
        most_epochs: int | None,
        described: ModelDescribed | None,
    ) -> Beginning:
        """What a lane begins with whose model this `takes`.

        Args:
            job: its job.
            data: what it is trained on.
            session: of its trial, in which the builder was called.
            birth: how its model was built, as far as it was.
            most_epochs: the limit of epochs that the builder has set, or None.
            described: how the model is built, where that is to be reported.
        """
        unbuilt, built = birth.unbuilt, self.built
        assert unbuilt is not None
        assert isinstance(data.training, Batches)
        BatchOrder(data.training, session, built.steps_per_execution).skip_first_read()
        birth = replace(birth, after_all=session.generators())
        others, examination = self.numbers(unbuilt), built.examination
        if others:
            examination = examination.with_numbers(others)
        trainable, not_trained, of_optimizer = ([v.value for v in group] for group in unbuilt.variables)
        state = State(trainable, not_trained, [*of_optimizer, *self.slots], built.rest)
        callbacks = LaneCallbacks(job.trial, built.model, None, job.epochs, built.steps, in_place=False)
        kept, held = KeptWeights(built.model, ()), Held((), str(job.trial))
        own = replace(built, session=session, examination=examination, most_epochs=most_epochs)
        return Beginning(
            *(own, session, state, callbacks, kept, held, birth),
            slots=self.slots,
            examined=True,
            described=described,
        )


class Prebuilt:
    """The structures of a run of which Keras need not build each model.

    Args:
        resources: what jobs name by a key.

    Attributes:
        untraced: which of the others are built without a trace.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self.untraced = Untraced(resources)
        self._known: OrderedDict[Any, Known | None] = OrderedDict()

    def look(self, job: Job, data: FitData, model: keras.Model) -> Unbuilt | None:
        """Look at a model that a builder has returned, in the trial's session.

        Args:
            job: the trial's.
            data: what it will be trained on.
            model: the model.

        Returns:
            The model as it is now; None where it has to be built in any case.
        """
        builder = self._resources.builder_of(job)
        if not may_be_alike(job, data, builder) or (builder.shared and builder.shared(model)):
            return None
        if not all(layer.built for layer in keras_private.all_layers(model)):
            return None
        if model.count_params() > _LARGEST:
            return None
        return Unbuilt.of(model)

    def find(self, job: Job, data: FitData, unbuilt: Unbuilt) -> Known | None:
        """What Keras would make of a model; None where it has to be built."""
        key = self._key(job, data, unbuilt)
        known = self._known.get(key)
        if known is None or not known.takes(unbuilt):
            return None
        self._known.move_to_end(key)
        return known

    def learn(self, job: Job, data: FitData, found: Beginning) -> None:
        """Look at what a lane began with whose model was built, and whose program is known.

        Args:
            job: its job.
            data: what it is trained on.
            found: what it began with.
        """
        unbuilt = None if found.birth is None or found.examined else found.birth.unbuilt
        if unbuilt is None:
            return
        key = self._key(job, data, unbuilt)
        if key not in self._known:
            self._known[key] = _known_from(found, unbuilt)
            self._forget()
            self.untraced.learn(job, data, found, unbuilt)
            return
        known = self._known[key]
        differing = set() if known is None else known.differing(unbuilt)
        if known is None or differing & known.refused:
            return
        known.again += 1
        if known.again * _SIZES_PER_PROOF < self._sizes(unbuilt):
            return
        lift = self._proven(job, data, known, found, unbuilt)
        if lift is not None:
            known.lift = lift
        elif differing:
            known.refused |= differing - set(known.lift.paths if known.lift else ())
        else:
            self._known[key] = None

    def _key(self, job: Job, data: FitData, unbuilt: Unbuilt) -> Any:
        return job.builder, data.likeness, unbuilt.structure.key, unbuilt.names

    def _sizes(self, unbuilt: Unbuilt) -> int:
        """How many structures are known which differ from a model's in sizes alone."""
        code = unbuilt.structure.code
        return sum(known is not None and known.first.code == code for known in self._known.values())

    def _forget(self) -> None:
        """Let go of the structures that were used the longest time ago, where they are many or large."""
        sizes = [0 if k is None else sum(np.asarray(s).nbytes for s in k.slots) for k in self._known.values()]
        while len(sizes) > 1 and (len(sizes) > _MOST_STRUCTURES or sum(sizes) > _MOST_BYTES):
            self._known.popitem(last=False)
            sizes.pop(0)

    def _proven(
        self, job: Job, data: FitData, known: Known, found: Beginning, unbuilt: Unbuilt
    ) -> Lift | None:
        """The numbers that are proven by one more model that was built, with those that were before.

        Returns:
            The numbers; None where the model is not what it would have been taken for.
        """
        if not _is_as_predicted(known, found, unbuilt):
            return None
        numbers = [known.first.numbers, unbuilt.structure.numbers]
        lift = Lift.of(numbers, known.lift.paths if known.lift else ())
        if not all(type(own[path]) is float for own in numbers for path in lift.paths):
            return None
        try:
            return lift if self._is_built_alike(job, data, found, unbuilt, lift) else None
        except Exception:  # Keras's code may stumble over a stand-in in any way
            return None

    def _is_built_alike(
        self, job: Job, data: FitData, found: Beginning, unbuilt: Unbuilt, lift: Lift
    ) -> bool:
        """Whether Keras builds the same of a model of another seed, without a use of these numbers."""

        def build(model: keras.Model, other: Unbuilt, iterator: Any) -> None:
            with lift.watched([unbuilt.structure.numbers], other.structure):
                keras_private.symbolic_build(model, iterator)

        return is_built_alike(self._resources.builder_of(job), job, data, found, unbuilt, build)


def _known_from(found: Beginning, unbuilt: Unbuilt) -> Known | None:
    """What the first model of a structure shows of others; None where it shows nothing."""
    built = found.built
    slots = slots_of(built.model, unbuilt)
    foreign = unbuilt.structure.foreign or built.examination.tracing is not None
    if foreign or slots is None or not drew_nothing(found):
        return None
    if not same_trees(unbuilt.layers, layer_state.read_layers(built.model), same_values):
        return None
    there = {slot.place: path for path, slot in built.examination.structure.slots.items()}
    places = {
        path: there[slot.place] for path, slot in unbuilt.structure.slots.items() if slot.place in there
    }
    return Known(built, unbuilt.structure, unbuilt.layers, slots, places)


def _is_as_predicted(known: Known, found: Beginning, unbuilt: Unbuilt) -> bool:
    """Whether a model was built as the first one of its structure says."""
    a, b = known.built, found.built
    differing, slots = known.differing(unbuilt), slots_of(b.model, unbuilt)
    if slots is None or not differing <= known.places.keys() or not drew_nothing(found):
        return False
    if any(_OF_METRICS.intersection(known.places[path]) for path in differing):
        return False
    predicted = {**a.examination.numbers, **known.numbers(unbuilt)}
    return (
        b.examination.tracing is None
        and a.examination.likeness() == b.examination.likeness()
        and same_trees(predicted, b.examination.numbers, same_bits)
        and same_trees([*slots, *b.rest], [*known.slots, *a.rest], same_bits)
        and (a.steps, a.directions) == (b.steps, b.directions)
        and same_trees(known.layers, unbuilt.layers, same_values)
        and same_trees(known.layers, layer_state.read_layers(b.model), same_values)
    )


def _same(some: Any, other: Any) -> bool:
    """Whether two numbers are the same."""
    if type(some) is float and type(other) is float:
        return some.hex() == other.hex()
    return same_bits(some, other)
