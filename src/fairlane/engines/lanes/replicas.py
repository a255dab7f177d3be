"""Further seeds of a variant: what a lane begins with, known without building its model.

In: what lanes began with whose models were built. Out: a `Beginning` for another seed of the same variant:
the values that its variables would begin with, and a session whose generators stand where they would stand.

A seed decides what Keras draws, and nothing else, in most builders. Whether a builder is one of them is seen:
all that its trial has drawn must be the seeds that Keras makes up (`fairlane.models.initial_values`), and the
batch that is read to build the model. Then the model of the next seed is predicted, built all the same, and
compared with the prediction: values, generators, and all numbers that its program reads, bit for bit. Only
from then on are models of the variant not built.

What runs foreign code in its step, has callbacks, shares variables or reads its batches is always built.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairlane.engines.contract import Job
from fairlane.engines.data.fit_data import Batches, FitData
from fairlane.engines.data.orders import BatchOrder
from fairlane.engines.lanes.built import Beginning, Birth, Built, may_be_alike
from fairlane.engines.lanes.callbacks import LaneCallbacks
from fairlane.engines.resources import Resources
from fairlane.engines.weights_epoch import KeptWeights
from fairlane.kit.values import same_bits, same_trees, same_values
from fairlane.models import layer_state
from fairlane.models.initial_values import Pattern, drew_seeds_alone
from fairlane.models.sharing import Held
from fairlane.models.variables import variable_groups
from fairlane.trials import Arrays, State

_MOST_VARIANTS, _MOST_BYTES = 64, 2**28
"""How many variants are remembered, the last ones: each holds a model."""


@dataclass(eq=False)
class _Variant:
    """What is known of a variant's models."""

    built: Built
    pattern: Pattern
    slots: Arrays
    sizes: Sequence[int]
    layers: Any
    proven: bool = False

    def begin(self, job: Job, data: FitData) -> Beginning:
        """What a lane of another seed begins with."""
        seed, built = job.trial.seed, self.built
        values, python = self.pattern.begin(seed)
        session = built.session.for_seed(seed, python)
        assert isinstance(data.training, Batches)
        BatchOrder(data.training, session, built.steps_per_execution).skip_first_read()
        state = State.of_flat([*values, *self.slots, *built.rest], (*self.sizes, len(built.rest)))
        callbacks = LaneCallbacks(job.trial, built.model, None, job.epochs, built.steps, in_place=False)
        kept, held = KeptWeights(built.model, ()), Held((), str(job.trial))
        return Beginning(built, session, state, callbacks, kept, held, examined=True)


class Replicas:
    """The variants of a run whose models need not be built again.

    Args:
        resources: what jobs name by a key.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._variants: OrderedDict[Any, _Variant | None] = OrderedDict()

    def find(self, job: Job, data: FitData) -> Beginning | None:
        """What a job's lane begins with; None where its model has to be built."""
        key = self._key(job, data)
        variant = self._variants.get(key)
        if variant is None or not variant.proven or job.checkpoint is not None or job.phase:
            return None
        self._variants.move_to_end(key)
        return variant.begin(job, data)

    def learn(self, job: Job, data: FitData, found: Beginning) -> None:
        """Look at what a lane began with whose model was built, and whose program is known.

        Args:
            job: its job.
            data: what it is trained on.
            found: what it began with.
        """
        key, birth = self._key(job, data), found.birth
        if birth is None or not may_be_alike(job, data, self._resources.builder_of(job)):
            return
        if key not in self._variants:
            self._variants[key] = self._variant(job, birth, found)
            self._forget()
            return
        variant = self._variants[key]
        if variant is None or variant.proven:
            return
        if _is_as_predicted(variant, variant.begin(job, data), found, birth):
            variant.proven = True
        else:
            self._variants[key] = None

    def _key(self, job: Job, data: FitData) -> Any:
        sees_folds = self._resources.builder_of(job).sees_folds
        own = job.trial.fold if sees_folds else None
        return job.builder, data.likeness, job.trial.variant.number, own

    def _forget(self) -> None:
        """Let go of the variants that were used the longest time ago, where there are many, or large ones."""
        sizes = [0 if v is None else v.pattern.nbytes for v in self._variants.values()]
        while len(sizes) > 1 and (len(sizes) > _MOST_VARIANTS or sum(sizes) > _MOST_BYTES):
            self._variants.popitem(last=False)
            sizes.pop(0)

    def _variant(self, job: Job, birth: Birth, found: Beginning) -> _Variant | None:
        seed, built = job.trial.seed, found.built
        if built.examination.tracing is not None or built.session.has_drawn_globally:
            return None
        after = birth.after_builder[1], birth.after_all[0]
        if not drew_seeds_alone(birth.drawing, birth.looks, seed, *after):
            return None
        if found.held:
            return None
        own = (
            birth.unbuilt.variables if found.examined and birth.unbuilt else variable_groups(built.model)[:3]
        )
        pattern = Pattern.of(birth.drawing, [v for group in own for v in group])
        if pattern is None:
            return None
        return _Variant(
            built, pattern, found.slots, found.state.sizes[:3], layer_state.read_layers(built.model)
        )


def _is_as_predicted(variant: _Variant, predicted: Beginning, found: Beginning, birth: Birth) -> bool:
    """Whether a model that was built is the one that was predicted."""
    python, numpy = predicted.session.generators()
    a, b = variant.built, found.built
    return (
        python == birth.after_all[0]
        and _same_numpy(numpy, birth.after_all[1])
        and not b.session.has_drawn_globally
        and same_trees(predicted.state, found.state, same_bits)
        and a.examination.likeness() == b.examination.likeness()
        and same_trees(a.examination.numbers, b.examination.numbers, same_bits)
        and (a.steps, a.most_epochs, a.directions) == (b.steps, b.most_epochs, b.directions)
        and same_trees(variant.layers, layer_state.read_layers(b.model), same_values)
    )


def _same_numpy(some: Any, others: Any) -> bool:
    return all(map(np.array_equal, some, others))
