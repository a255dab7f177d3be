"""Whether a condition surely holds: of ``model is None``, ``name not in cache`` and the like.

In: an operator and the values of its parts. Out: True, False, or None where that is not known. So a program
that builds a model only where there is none yet is seen to build one.
"""

from __future__ import annotations

from collections.abc import Sequence

from fairlane.check.machine import Machine, constant
from fairlane.check.values import ClassValue, Closure, Const, Container, Made, Object, Tensor, Thing, Value

NAMES = "globals()"
"""What stands for the names of a program: ``"model" in globals()``."""

_COMPARES = frozenset({"is", "is not", "==", "!="})


def holds(operator: str, values: Sequence[Value], machine: Machine) -> bool | None:
    """Whether an operation gives true.

    Args:
        operator: as the front ends name it.
        values: of its parts.
        machine: the program, whose state says what dictionaries hold.

    Returns:
        whether it holds; None where that is not known.
    """
    found: bool | None = None
    if operator in ("Not", "!") and len(values) == 1:
        truth = is_true(values[0])
        return None if truth is None else not truth
    if len(values) != 2:
        return None
    if operator in ("in", "not in"):
        found = _is_in(values[0], values[1], machine)
    elif operator in _COMPARES and isinstance(values[1], Const) and values[1].value is None:
        found = is_nothing(values[0])
    return found if found is None or operator in ("is", "==", "in") else not found


def is_true(value: Value) -> bool | None:
    """Whether a value counts as true; None where that is not known."""
    if isinstance(value, Const) and (value.value is None or isinstance(value.value, bool)):
        return bool(value.value)
    return True if isinstance(value, Thing) else None


def is_nothing(value: Value) -> bool | None:
    """Whether a value is Python's ``None`` or R's ``NULL``; None where that is not known."""
    if isinstance(value, Const):
        return value.value is None
    return False if isinstance(value, Thing | Object | ClassValue | Closure | Tensor | Container) else None


def _is_in(value: Value, of: Value, machine: Machine) -> bool | None:
    """Whether a dictionary has a key: where all of its keys are known."""
    key, keyed = constant(value), machine.keys(of)
    if isinstance(of, Made) and of.path == NAMES:
        return machine.has_name(key) if isinstance(key, str) else None
    return None if keyed is None or not isinstance(key, str | int | float) else key in keyed
