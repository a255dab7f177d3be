"""A traced program, spelled out: programs that are spelled alike do the same on arrays of the same shapes.

In: a traced program; where its sizes are symbols, their values. Out: a list of its operations, in order.
Calls are written out in their place, and variables are numbered. The values of floats are left out: they may
be a lane's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from fairlane.engines.program.sizes.aligned import LABELS, called, closed
from fairlane.engines.program.sizes.jax_private import is_symbolic, value_at
from fairlane.engines.program.sizes.symbols import Env


def spelled(program: ClosedJaxpr, env: Env) -> list[Any]:
    """The operations of a program.

    Args:
        program: traced.
        env: the values of its symbols.
    """
    return _Spelling(env).whole(program)


class _Spelling:
    def __init__(self, env: Env) -> None:
        self.env = env
        self.lines: list[Any] = []
        self.count = 0

    def whole(self, program: ClosedJaxpr) -> list[Any]:
        """All of a program."""
        inputs = [self.new(v.aval) for v in program.jaxpr.invars]
        self.lines.append(("results", self.program(program, inputs)))
        return self.lines

    def new(self, aval: Any) -> Any:
        """A number for a variable; its shape is spelled beside it."""
        self.count += 1
        self.lines.append((self.count, self.kind(aval)))
        return self.count

    def kind(self, aval: Any) -> Any:
        """The shape and dtype of a value."""
        return self.value(getattr(aval, "shape", ())), str(getattr(aval, "dtype", aval))

    def program(self, program: ClosedJaxpr, inputs: list[Any]) -> list[Any]:
        """Spell what a program does with some inputs; returns its results."""
        known: dict[Any, Any] = dict(zip(program.jaxpr.invars, inputs, strict=True))
        for variable, constant in zip(program.jaxpr.constvars, program.consts, strict=True):
            known[variable] = self.constant(constant)

        def read(atom: Any) -> Any:
            return self.constant(atom.val) if isinstance(atom, Literal) else known[atom]

        for eqn in program.jaxpr.eqns:
            operands = [read(atom) for atom in eqn.invars]
            inner = called([eqn])
            if inner is not None:
                results = self.program(inner[0], operands)
            else:
                results = self.folded(eqn, operands) or self.operation(eqn, operands)
            known |= dict(zip(eqn.outvars, results, strict=True))
        return [read(atom) for atom in program.jaxpr.outvars]

    def operation(self, eqn: Any, operands: list[Any]) -> list[Any]:
        """Spell one operation."""
        params = [(name, self.value(v)) for name, v in sorted(eqn.params.items()) if name not in LABELS]
        self.lines.append((eqn.primitive.name, operands, params))
        return [self.new(v.aval) for v in eqn.outvars]

    def folded(self, eqn: Any, operands: list[Any]) -> list[Any] | None:
        """The result of an operation that calculates a number from sizes: Keras's own step has the number."""
        name = eqn.primitive.name
        if name == "dim_as_value":
            value = value_at(eqn.params["dim"], self.env) if is_symbolic(eqn.params["dim"]) else None
            return None if value is None else [self.constant(np.asarray(value, eqn.outvars[0].aval.dtype))]
        if name == "convert_element_type" and isinstance(operands[0], _Number):
            return [self.constant(np.asarray(operands[0].value).astype(eqn.params["new_dtype"]))]
        return None

    def constant(self, value: Any) -> Any:
        """A constant."""
        if jax.dtypes.issubdtype(getattr(value, "dtype", None), jax.dtypes.extended):
            value = jax.random.key_data(value)
        array = np.asarray(value, dtype=getattr(value, "dtype", None))
        return _Number(array) if array.ndim == 0 else (array.shape, str(array.dtype), array.tobytes())

    def value(self, value: Any) -> Any:
        """A parameter."""
        if isinstance(value, int | np.integer) and not isinstance(value, bool):
            return int(value)
        if isinstance(value, Jaxpr | ClosedJaxpr):
            return _Spelling(self.env).whole(closed(value))
        if isinstance(value, Mapping):
            return [(key, self.value(one)) for key, one in sorted(value.items(), key=repr)]
        if isinstance(value, tuple | list):
            return [self.value(one) for one in value]
        if is_symbolic(value):
            return value_at(value, self.env)
        if isinstance(value, np.ndarray | jax.Array):
            return self.constant(value)
        return repr(value)


class _Number:
    """A scalar constant: whole numbers are equal where they are the same, floats of one dtype always."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Number) or self.value.dtype != other.value.dtype:
            return False
        return bool(self.value.dtype.kind not in "iub" or self.value == other.value)

    __hash__ = None  # type: ignore[assignment]
