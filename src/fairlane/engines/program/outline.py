"""A traced program → its outline and its constants: programs with one outline differ in constants alone.

In: a closed jaxpr, as ``jax.make_jaxpr`` gives it. Out: an `Outline`: a digest of everything in it but the
numbers that can become inputs, and these numbers, in order. `with_inputs` makes inputs of some of them, so
that several models whose steps were traced apart run in one program, each with its own numbers. `whole` is a
digest of all of it.

A number can become an input where it stands in the program itself or in a function that is called there.
Inside of loops and branches it is part of the digest.
"""

from __future__ import annotations

import hashlib
import sys
import types
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from fairlane.kit.kept_programs import jax_private

LARGEST_INPUT = 4096
"""Elements of the largest constant that can become an input of its own for each lane."""

_CALLS = frozenset({"closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "jit", "pjit"})
"""Calls of a program that can as well be written out in their place."""

_DERIVATIVES = frozenset({"bwd", "fwd_jaxpr_thunk", "jvp_jaxpr_fun", "jvp_jaxpr_thunk"})
"""How to differentiate a call: of no use in a step, whose derivatives are taken already."""

_CONTEXT = ("compute_type", "threefry_partitionable", "xla_metadata")
"""What JAX remembers of where an operation was called."""

_LABELS = frozenset({"name", "debug_info"})


@dataclass(frozen=True, eq=False)
class Outline:
    """What a traced program is.

    Attributes:
        digest: equal for programs that differ in `numbers` alone.
        numbers: the constants that can become inputs, in the order of the program.
        sources: the files that the functions come from that the program calls under ``jax.jit``.
        calls_python: whether Python is called while the program runs, as by ``jax.pure_callback``.
    """

    digest: str
    numbers: Sequence[Any]
    sources: Collection[str]
    calls_python: bool


def outline(program: ClosedJaxpr) -> Outline:
    """The outline of a traced program."""
    drawing = _Drawing()
    drawing.program(program, free=True)
    return Outline(drawing.digest.hexdigest(), drawing.numbers, drawing.sources, drawing.calls_python)


def whole(program: ClosedJaxpr) -> str:
    """A digest of all of a traced program: of two with one digest, XLA is given the same program.

    Returns:
        The digest; empty where it does not say all: Python is called while the program runs, or an operation
        is not JAX's own, so that other code says what it does.
    """
    drawing = _Drawing()
    drawing.program(program, free=False)
    complete = not drawing.calls_python and drawing.operations <= jax_private.operations()
    return drawing.digest.hexdigest() if complete else ""


def with_inputs(program: ClosedJaxpr, places: Sequence[int | None], kinds: Sequence[Any]) -> ClosedJaxpr:
    """The same program with some of its constants as its first inputs.

    Args:
        program: a traced program.
        places: which of its `Outline.numbers`; None for an input that it does not use.
        kinds: shapes and dtypes of the inputs.

    Returns:
        A program whose inputs are the numbers, then those of ``program``.
    """

    def run(numbers: Sequence[Any], *inputs: Any) -> list[Any]:
        pairs = zip(places, numbers, strict=True)
        return _Run({place: number for place, number in pairs if place is not None}).program(program, inputs)

    return jax.make_jaxpr(run)(list(kinds), *(_kind(a) for a in program.in_avals))


def _kind(aval: Any) -> Any:
    return jax.ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=aval.weak_type)


class _Drawing:
    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.numbers: list[Any] = []
        self.sources: set[str] = set()
        self.calls_python = False
        self.operations: set[Any] = set()

    def emit(self, *token: Any) -> None:
        self.digest.update(repr(token).encode())

    def program(self, closed: ClosedJaxpr, free: bool) -> None:
        """Draw a program; its constants are numbers where ``free``, else part of the digest."""
        jaxpr = closed.jaxpr
        places: dict[Any, int] = {}

        def place(variable: Any) -> int:
            return places.setdefault(variable, len(places))

        self.emit("program", str(jaxpr.effects))
        for variable, value in zip(jaxpr.constvars, closed.consts, strict=True):
            self.emit("const", place(variable), str(variable.aval))
            self.constant(value, free)
        self.emit("in", [(place(v), str(v.aval)) for v in jaxpr.invars])
        for eqn in jaxpr.eqns:
            self.emit(eqn.primitive.name)
            self.emit(*(repr(getattr(eqn.ctx, name, None)) for name in _CONTEXT))
            self.operations.add(eqn.primitive)
            self.calls_python |= eqn.primitive.name.endswith("callback")
            for atom in eqn.invars:
                if isinstance(atom, Literal):
                    self.emit("literal", str(atom.aval))
                    self.constant(atom.val, free)
                else:
                    self.emit(place(atom))
            self.parameters(eqn, free)
            self.emit("out", [(place(v), str(v.aval)) for v in eqn.outvars])
        for atom in jaxpr.outvars:
            if isinstance(atom, Literal):
                self.constant(atom.val, free)
            else:
                self.emit("result", place(atom))

    def constant(self, value: Any, free: bool) -> None:
        if free and is_number(value):
            self.emit("number", np.shape(value), str(_dtype(value)))
            self.numbers.append(value)
        else:
            self.array(value)

    def array(self, value: Any) -> None:
        if jax.dtypes.issubdtype(_dtype(value), jax.dtypes.extended):
            self.emit("key", str(value.dtype))
            value = jax.random.key_data(value)
        array = np.ascontiguousarray(value)
        self.emit("array", array.shape, str(array.dtype))
        self.digest.update(array.tobytes())

    def parameters(self, eqn: JaxprEqn, free: bool) -> None:
        called = _called(eqn)
        for name in sorted(eqn.params):
            value = eqn.params[name]
            if name in _LABELS or (name in _DERIVATIVES and eqn.primitive.name in _CALLS):
                continue
            self.emit("parameter", name)
            if called is not None and isinstance(value, ClosedJaxpr | Jaxpr):
                self.source(called)
                self.program(called, free)
            else:
                self.parameter(value)

    def parameter(self, value: Any) -> None:
        if isinstance(value, Jaxpr):
            value = ClosedJaxpr(value, ())
        if isinstance(value, ClosedJaxpr):
            self.source(value)
            self.program(value, free=False)
        elif isinstance(value, tuple | list):
            self.emit(type(value).__name__, len(value))
            for item in value:
                self.parameter(item)
        elif isinstance(value, Mapping):
            for key in sorted(value, key=repr):
                self.emit("key", key)
                self.parameter(value[key])
        elif isinstance(value, np.ndarray | jax.Array):
            self.array(value)
        elif _is_of_jax(value):
            self.emit("function", value.__module__, value.__qualname__)
        else:  # what has no repr of its own shows its address, and is equal to itself alone
            self.emit(type(value).__qualname__, repr(value))

    def source(self, program: ClosedJaxpr) -> None:
        info = getattr(program.jaxpr, "debug_info", None)
        # "name at file:line"
        text = getattr(info, "func_src_info", None) or ""
        self.sources.add(text.rpartition(" at ")[2].rpartition(":")[0])


def _is_of_jax(value: Any) -> bool:
    """Whether a value is a function that stands by its name in a module of JAX's."""
    name = getattr(value, "__module__", None) or ""
    if not (isinstance(value, types.FunctionType) and name.startswith("jax.")):
        return False
    return getattr(sys.modules.get(name), value.__qualname__, None) is value


def is_number(value: Any) -> bool:
    """Whether a constant of a program can become an input of it."""
    dtype = _dtype(value)
    if jax.dtypes.issubdtype(dtype, jax.dtypes.extended):
        return False
    return int(np.size(value)) <= LARGEST_INPUT


def _dtype(value: Any) -> Any:
    return value.dtype if hasattr(value, "dtype") else np.result_type(value)


def _called(eqn: JaxprEqn) -> ClosedJaxpr | None:
    """The program that an equation calls, where it can be written out instead."""
    if eqn.primitive.name not in _CALLS:
        return None
    for name in ("jaxpr", "call_jaxpr"):
        value = eqn.params.get(name)
        if isinstance(value, ClosedJaxpr):
            return value
        if isinstance(value, Jaxpr):
            return ClosedJaxpr(value, ())
    return None


class _Run:
    """Runs a program with other values for chosen constants, counted as `_Drawing` counts them."""

    def __init__(self, chosen: Mapping[int, Any]) -> None:
        self.chosen = chosen
        self.count = 0

    def constant(self, value: Any) -> Any:
        if not is_number(value):
            return value
        self.count += 1
        return self.chosen.get(self.count - 1, value)

    def program(self, closed: ClosedJaxpr, inputs: Sequence[Any]) -> list[Any]:
        jaxpr = closed.jaxpr
        values: dict[Any, Any] = {}

        def read(atom: Any) -> Any:
            return self.constant(atom.val) if isinstance(atom, Literal) else values[atom]

        for variable, value in zip(jaxpr.constvars, closed.consts, strict=True):
            values[variable] = self.constant(value)
        values |= dict(zip(jaxpr.invars, inputs, strict=True))
        for eqn in jaxpr.eqns:
            operands = [read(atom) for atom in eqn.invars]
            with eqn.ctx.manager:
                outputs = self.equation(eqn, operands)
            values |= dict(zip(eqn.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def equation(self, eqn: JaxprEqn, operands: Sequence[Any]) -> Sequence[Any]:
        called = _called(eqn)
        if called is not None:
            inside = _count(called)
            if any(self.count <= place < self.count + inside for place in self.chosen):
                return self.program(called, operands)  # written out, so that the inputs reach it
            self.count += inside
        return bind(eqn, operands, eqn.params)


def _count(program: ClosedJaxpr) -> int:
    """How many numbers a program has."""
    literals = (a.val for eqn in program.jaxpr.eqns for a in eqn.invars if isinstance(a, Literal))
    results = (a.val for a in program.jaxpr.outvars if isinstance(a, Literal))
    own = sum(map(is_number, [*program.consts, *literals, *results]))
    return own + sum(_count(called) for called in map(_called, program.jaxpr.eqns) if called is not None)


def programs_in(value: Any) -> list[Jaxpr]:
    """The programs in a parameter of an equation, alone or in a list."""
    if isinstance(value, ClosedJaxpr):
        return [value.jaxpr]
    if isinstance(value, Jaxpr):
        return [value]
    if isinstance(value, tuple | list):
        return [program for item in value for program in programs_in(item)]
    return []


def bind(eqn: JaxprEqn, inputs: Sequence[Any], params: Mapping[str, Any]) -> Sequence[Any]:
    """An equation's operation on these inputs, with these parameters."""
    bound = eqn.primitive.get_bind_params(dict(params))
    functions: Sequence[Any] = ()
    if isinstance(bound, tuple):  # before JAX 0.10 the functions of a call come apart
        functions, bound = bound
    out = eqn.primitive.bind(*functions, *inputs, **bound)
    return out if eqn.primitive.multiple_results else [out]
