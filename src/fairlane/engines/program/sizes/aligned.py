"""Traced programs of models that differ in sizes, side by side: the same operations, on other shapes.

In: the programs of several models. Out: their equations, one of each program at a time; or `CannotUnify`,
where they are not the same operations on the same values. And `skeleton`, a digest that is equal for programs
that may be unified.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from fairlane.engines.program.expressions import CannotLift
from fairlane.engines.program.outline import programs_in
from fairlane.kit.values import same_bits

Sizes = tuple[int, ...]
"""How long an axis is, in each of the programs."""

CALLS = frozenset(
    {"checkpoint", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "jit", "pjit", "remat2"}
)
"""Calls of a program that can as well be written out in their place."""

LABELS = frozenset({"name", "debug_info", "sharding", "out_sharding", "ctx_mesh"})
"""Parameters that do not change what is calculated on one device."""


class CannotUnify(CannotLift):
    """Models of different sizes can't share a program."""


@dataclass(frozen=True, eq=False)
class Same:
    """One equation of each program, which do the same.

    Attributes:
        eqns: the equations.
    """

    eqns: Sequence[JaxprEqn]

    @property
    def name(self) -> str:
        """Of the operation."""
        return str(self.eqns[0].primitive.name)

    def param(self, name: str) -> Any:
        """A parameter that is the same in all programs.

        Raises:
            CannotUnify: it is not.
        """
        first, *others = (eqn.params[name] for eqn in self.eqns)
        if any(not _equal(first, other) for other in others):
            raise CannotUnify(f"{self.name} has another {name} in each model")
        return first

    def each(self, name: str) -> list[Any]:
        """A parameter, of each program."""
        return [eqn.params[name] for eqn in self.eqns]

    def check(self, *names: str) -> None:
        """See that all parameters are the same, but for these and for labels.

        Raises:
            CannotUnify: another one is not.
        """
        for name in self.eqns[0].params:
            if name not in names and name not in LABELS:
                self.param(name)

    def programs(self, name: str) -> list[ClosedJaxpr]:
        """A parameter that is a program, of each."""
        return [closed(program) for program in self.each(name)]

    def out_shape(self, i: int = 0) -> tuple[Sizes, ...]:
        """The shape of a result, axis by axis."""
        return shape_of([eqn.outvars[i] for eqn in self.eqns])


def closed(program: Any) -> ClosedJaxpr:
    """A program, with its constants."""
    return program if isinstance(program, ClosedJaxpr) else ClosedJaxpr(program, ())


def shape_of(atoms: Sequence[Any]) -> tuple[Sizes, ...]:
    """The shape of one value of each program, axis by axis.

    Raises:
        CannotUnify: they have other numbers of axes, or other dtypes.
    """
    shapes = [np.shape(atom.val) if isinstance(atom, Literal) else atom.aval.shape for atom in atoms]
    if len({len(shape) for shape in shapes}) > 1 or len({str(atom.aval.dtype) for atom in atoms}) > 1:
        raise CannotUnify("a value has other axes in each model")
    return tuple(zip(*shapes, strict=True))


def is_ragged(sizes: Sizes) -> bool:
    """Whether an axis is not as long in all programs."""
    return min(sizes) != max(sizes)


def called(eqns: Sequence[JaxprEqn]) -> list[ClosedJaxpr] | None:
    """The programs that equations call, where they can be written out instead."""
    if eqns[0].primitive.name not in CALLS:
        return None
    for name in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        if name in eqns[0].params:
            return [closed(eqn.params[name]) for eqn in eqns]
    return None


def side_by_side(programs: Sequence[ClosedJaxpr]) -> Iterator[Same]:
    """The equations of programs, one of each at a time.

    Raises:
        CannotUnify: they are not the same operations.
    """
    lists = [program.jaxpr.eqns for program in programs]
    if len(set(map(len, lists))) > 1:
        raise CannotUnify("the models do other operations, not the same with other sizes")
    for eqns in zip(*lists, strict=True):
        if len({eqn.primitive.name for eqn in eqns}) > 1:
            names = " and ".join(sorted({eqn.primitive.name for eqn in eqns}))
            raise CannotUnify(f"one model does {names} where others do not")
        yield Same(eqns)


def skeleton(program: ClosedJaxpr) -> str:
    """A digest of what a program does, without the sizes of its arrays and the values of its numbers.

    Programs with other digests can't be unified; those with one may be, which unifying finds out.
    """
    digest = hashlib.sha256()
    _sketch(program.jaxpr, digest)
    return digest.hexdigest()


def _sketch(jaxpr: Jaxpr, digest: Any) -> None:
    places: dict[Any, int] = {}

    def atom(one: Any) -> tuple[Any, ...]:
        kind = len(np.shape(one.val) if isinstance(one, Literal) else one.aval.shape), str(one.aval.dtype)
        return (*kind, "literal" if isinstance(one, Literal) else places.setdefault(one, len(places)))

    def emit(*token: Any) -> None:
        digest.update(repr(token).encode())

    emit([atom(v) for v in (*jaxpr.constvars, *jaxpr.invars)])
    for eqn in jaxpr.eqns:
        emit(eqn.primitive.name, [atom(v) for v in eqn.invars])
        for value in eqn.params.values():
            for inner in programs_in(value):
                _sketch(inner, digest)
        emit([atom(v) for v in eqn.outvars])
    emit([atom(v) for v in jaxpr.outvars])


def same_constants(a: Any, b: Any) -> bool:
    """Whether two constants of programs, numbers, arrays or keys of random generators, have the same bits."""
    if a is b:
        return True
    kinds = [getattr(one, "dtype", None) for one in (a, b)]
    if all(kind is not None and jax.dtypes.issubdtype(kind, jax.dtypes.extended) for kind in kinds):
        a, b = jax.random.key_data(a), jax.random.key_data(b)
    return same_bits(a, b)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return bool(np.array_equal(a, b))
    if isinstance(a, ClosedJaxpr) and isinstance(b, ClosedJaxpr) and a is not b:
        # Arrays that it has as constants are not in its text.
        consts = len(a.consts) == len(b.consts) and all(map(np.array_equal, a.consts, b.consts))
        return consts and repr(a) == repr(b)
    if isinstance(a, ClosedJaxpr | Jaxpr | Mapping) or callable(a):
        return a is b or repr(a) == repr(b)
    return bool(a == b) or repr(a) == repr(b)  # a NaN is equal to itself here
