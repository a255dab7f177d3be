"""Which engine runs: the choice of the caller, and of Keras's backend.

In: ``compare``'s argument ``engine``, and the resources of its jobs. Out: an engine.
"""

from __future__ import annotations

import keras

from fairlane.engines.contract import Engine
from fairlane.engines.fallback import FallbackEngine
from fairlane.engines.lanes import LanesEngine
from fairlane.engines.reference import ReferenceEngine
from fairlane.engines.resources import Resources


def engine_for(choice: str, resources: Resources) -> Engine:
    """The engine that was chosen.

    Args:
        choice: ``"auto"``, ``"lanes"`` or ``"reference"``.
        resources: what jobs name by a key.
    """
    if choice == "reference":
        return ReferenceEngine(resources)
    if choice == "lanes":
        return lanes(resources)
    return FallbackEngine(lanes(resources), ReferenceEngine(resources))


def lanes(resources: Resources) -> Engine:
    """The lanes engine: in this process where Keras runs on JAX, else in a worker process of its own."""
    if on_jax():
        return LanesEngine(resources)
    from fairlane.engines.workers.engine import WorkersEngine

    return WorkersEngine(resources)


def on_jax() -> bool:
    """Whether Keras runs on JAX in this session."""
    return bool(keras.backend.backend() == "jax")
