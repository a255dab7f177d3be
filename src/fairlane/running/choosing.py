"""Which engine runs: the choice of the caller, and of Keras's backend.

In: ``compare``'s argument ``engine``, and the resources of its jobs. Out: an engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras

from fairlane.engines.contract import Engine
from fairlane.engines.fallback import FallbackEngine
from fairlane.engines.lanes import LanesEngine
from fairlane.engines.reference import ReferenceEngine
from fairlane.engines.resources import Resources

if TYPE_CHECKING:
    from fairlane.engines.pool.crew import Crew


def engine_for(choice: str, resources: Resources, crew: Crew | None = None) -> Engine:
    """The engine that was chosen.

    Args:
        choice: ``"auto"``, ``"lanes"`` or ``"reference"``.
        resources: what jobs name by a key.
        crew: the workers that run it; None where this process does.
    """
    if crew is not None:
        from fairlane.engines.pool.engine import PoolEngine

        return PoolEngine(resources, crew, choice)
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
