"""The values of a model: its variables in four groups, and what its layers hold besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Arrays = list[Any]


class State(NamedTuple):
    """The values of a model's variables, in the order of its own lists: all that a training step changes.

    The only place where the four groups are named: all other code goes through the fields in this order.
    Stacked lanes have one more axis in front.

    Attributes:
        trainable: of ``model.trainable_variables``.
        non_trainable: of ``model.non_trainable_variables``, dropout's seed states among them.
        optimizer: of ``model.optimizer.variables``.
        metrics: of ``model.metrics_variables``.
    """

    trainable: Arrays
    non_trainable: Arrays
    optimizer: Arrays
    metrics: Arrays

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many arrays each group has."""
        return tuple(map(len, self))

    def flat(self) -> Arrays:
        """All arrays, one group after another."""
        return [array for group in self for array in group]

    @classmethod
    def of_flat(cls, arrays: Sequence[Any], sizes: Sequence[int]) -> State:
        """The state again.

        Args:
            arrays: as `flat` gave them.
            sizes: as `sizes` gave them.
        """
        waiting = iter(arrays)
        return cls(*([next(waiting) for _ in range(size)] for size in sizes))


@dataclass(frozen=True, eq=False)
class Weights:
    """All that a trained model remembers, as NumPy arrays.

    Attributes:
        state: the values of its variables.
        layers: what its layers hold besides, as `fairlane.models.layer_state.read_layers` gives it; None
            where it is not known.
        phase: in which phase of its training the model was, from 0: how often it has been changed since it
            was built.
    """

    state: State
    layers: Sequence[Mapping[str, Any]] | None = None
    phase: int = 0
