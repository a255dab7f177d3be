"""Models that Keras builds without a trace: those of other sizes than models which it has built with one.

In: models that builders have returned. Out: whether what is left of a model can be built from the shape of
its output alone: metrics, the loss, the optimizer's variables.

Keras traces a model before its first epoch to learn the shape of what it returns, and its metrics and loss,
since some make variables only when they are called. A functional model says that shape by itself. Whether
its metrics and loss have all they need without being called is a matter of their classes and of that shape,
and not of the sizes of other layers. So it is found out once for models of one code and one output: one of
them is built both ways, and has to be the same, to the last bit.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import keras

from fairlane.engines.contract import Job
from fairlane.engines.data.fit_data import FitData
from fairlane.engines.lanes.built import Beginning, Unbuilt
from fairlane.engines.lanes.proofs import drew_nothing, is_built_alike
from fairlane.engines.resources import Resources
from fairlane.models import keras_private

_BEFORE_PROOF = 3
"""How many sizes are built with a trace: a proof takes one more model, and two may be all there are."""


class Untraced:
    """Which models of a run are built without a trace.

    Args:
        resources: what jobs name by a key.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._sizes: Counter[Any] = Counter()
        self._proven: dict[Any, bool] = {}

    def takes(self, job: Job, data: FitData, unbuilt: Unbuilt) -> bool:
        """Whether a model is built without a trace.

        Args:
            job: its trial's.
            data: what it will be trained on.
            unbuilt: the model.
        """
        return self._proven.get(_key(job, data, unbuilt), False)

    def learn(self, job: Job, data: FitData, found: Beginning, unbuilt: Unbuilt) -> None:
        """Look at a model of sizes that are new, and which Keras has built with a trace unless it `takes` it.

        Args:
            job: its trial's.
            data: what it is trained on.
            found: what it became.
            unbuilt: the model as its builder returned it.
        """
        key = _key(job, data, unbuilt)
        if key in self._proven:
            return
        self._sizes[key] += 1
        if self._sizes[key] < _BEFORE_PROOF:
            return
        foreign = unbuilt.structure.foreign or found.built.examination.tracing is not None
        self._proven[key] = bool(
            unbuilt.output is not None
            and not foreign
            and drew_nothing(found)
            and self._is_built_alike(job, data, found, unbuilt)
        )

    def _is_built_alike(self, job: Job, data: FitData, found: Beginning, unbuilt: Unbuilt) -> bool:
        def build(model: keras.Model, other: Unbuilt, iterator: Any) -> None:
            keras_private.build_for_output(model, iterator)

        try:
            return is_built_alike(self._resources.builder_of(job), job, data, found, unbuilt, build)
        except Exception:  # a metric or loss of Keras's that wants more than shapes
            return False


def _key(job: Job, data: FitData, unbuilt: Unbuilt) -> Any:
    return job.builder, data.likeness, unbuilt.structure.code, unbuilt.output
