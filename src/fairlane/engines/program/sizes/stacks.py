"""States of lanes ↔ one state with an axis in front, padded where the lanes' models differ in sizes.

In: the states of lanes. Out: them, stacked; and one of them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from fairlane.trials import State


def _own_part(shape: Sequence[int]) -> tuple[slice, ...]:
    """Where an array of a shape stands in a padded one."""
    return tuple(slice(0, size) for size in shape)


def fitted(state: State, padded: State | None) -> State:
    """A state, padded with zeros.

    Args:
        state: a lane's own.
        padded: the shapes and dtypes to reach; None where it has them.
    """
    if padded is None:
        return state

    def fit(array: Any, whole: Any) -> Any:
        room = np.zeros(whole.shape, whole.dtype)
        room[_own_part(np.shape(array))] = np.asarray(array)
        return room

    return State(
        *([fit(*pair) for pair in zip(*groups, strict=True)] for groups in zip(state, padded, strict=True))
    )


def stacked(states: Sequence[State], width: int) -> State:
    """States → one with an axis in front, filled up to ``width`` with the first."""
    filled = [*states, *[states[0]] * (width - len(states))]
    together: State = jax.device_put(jax.tree.map(lambda *a: np.stack([np.asarray(x) for x in a]), *filled))
    return together


def one_of(stack: State, i: int, sizes: Sequence[State] | None) -> State:
    """A copy of one lane's state: a view could be overwritten when its chunk runs again.

    Args:
        stack: all lanes' states.
        i: which.
        sizes: the shapes of each lane's own state, where they are padded; else None.
    """
    if sizes is None:
        return State(*([np.asarray(a)[i].copy() for a in group] for group in stack))
    pairs = zip(stack, sizes[i], strict=True)
    return State(
        *([np.asarray(a)[i][_own_part(own.shape)].copy() for a, own in zip(*p, strict=True)] for p in pairs)
    )
