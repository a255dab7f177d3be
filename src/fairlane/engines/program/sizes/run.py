"""Programs of models of different sizes → one on padded arrays, in which each lane has sizes of its own.

In: traced programs that do the same on arrays of other shapes. Out: their results, padded. Each operation is
one that is known to be right on padded arrays, as `rules` and `moves` say; another one is refused.

The idea: an axis that is not as long in all models is padded to the longest. Where an operation mixes values
along such an axis (a sum, a maximum, a product of matrices), the padding is filled first with what that
operation does not notice. Elsewhere the padding holds whatever comes out, and is never read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Literal

from fairlane.engines.program.sizes.aligned import (
    CannotUnify,
    Same,
    Sizes,
    called,
    is_ragged,
    shape_of,
    side_by_side,
)
from fairlane.engines.program.sizes.lanes import Lane, Value, padded
from fairlane.engines.program.sizes.moves import MOVES
from fairlane.engines.program.sizes.rules import RULES, elementwise, is_elementwise
from fairlane.engines.program.sizes.table import Table
from fairlane.trials import State

Rule = Callable[[Lane, Same, Sequence[Value]], Sequence[Any]]


def run(programs: Sequence[ClosedJaxpr], table: Table, arrays: Sequence[Any]) -> list[Any]:
    """Run the programs of several models as one, for one lane.

    Args:
        programs: of each model.
        table: what the lane's model has of its own.
        arrays: their inputs, padded.

    Returns:
        Their results, padded.

    Raises:
        CannotUnify: they are not the same operations, or an operation is not known on padded arrays.
    """
    return _Run(Lane(table)).program(programs, arrays)


class _Run:
    def __init__(self, lane: Lane) -> None:
        self.lane = lane

    def program(self, programs: Sequence[ClosedJaxpr], arrays: Sequence[Any]) -> list[Any]:
        """Go through programs, equation by equation."""
        jaxprs = [program.jaxpr for program in programs]
        values: dict[Any, Any] = {}
        names: list[dict[Any, Any]] = [{} for _ in jaxprs]  # each program's variables → the first's

        def bind(variables: Sequence[Sequence[Any]], new: Sequence[Any]) -> None:
            for one, array in zip(zip(*variables, strict=True), new, strict=True):
                values[one[0]] = array
                for known, variable in zip(names, one, strict=True):
                    known[variable] = one[0]

        def read(atoms: Sequence[Any]) -> Value:
            shape = shape_of(atoms)
            if all(isinstance(atom, Literal) for atom in atoms):
                return Value(self._constant([atom.val for atom in atoms], shape), shape)
            if any(isinstance(atom, Literal) for atom in atoms):
                raise CannotUnify("a value is a constant in one model, and calculated in another")
            first, *others = (known[atom] for known, atom in zip(names, atoms, strict=True))
            if any(other is not first for other in others):
                raise CannotUnify("the models calculate with other values")
            return Value(values[first], shape)

        if any(len(j.constvars) != len(jaxprs[0].constvars) for j in jaxprs):
            raise CannotUnify("the models have other constants")
        consts = zip(*(program.consts for program in programs), strict=True)
        shapes = [shape_of(v) for v in zip(*(j.constvars for j in jaxprs), strict=True)]
        bind(
            [j.constvars for j in jaxprs],
            [self._constant(c, shape) for c, shape in zip(consts, shapes, strict=True)],
        )
        bind([j.invars for j in jaxprs], arrays)
        for same in side_by_side(programs):
            operands = [read(atoms) for atoms in zip(*(eqn.invars for eqn in same.eqns), strict=True)]
            with same.eqns[0].ctx.manager:
                results = self.equation(same, operands)
            bind([eqn.outvars for eqn in same.eqns], results)
        return [read(atoms).array for atoms in zip(*(j.outvars for j in jaxprs), strict=True)]

    def equation(self, same: Same, operands: Sequence[Value]) -> Sequence[Any]:
        """The results of one equation."""
        inner = called(same.eqns)
        if inner is not None:
            return self.program(inner, [operand.array for operand in operands])
        loop = _LOOPS.get(same.name)
        if loop is not None:
            return loop(self, same, operands)
        shapes = [same.out_shape(i) for i in range(len(same.eqns[0].outvars))]
        axes = [sizes for shape in (*(v.shape for v in operands), *shapes) for sizes in shape]
        rule: Rule | None = MOVES.get(same.name) or RULES.get(same.name)
        if rule is None and (is_elementwise(same.name) or not any(map(is_ragged, axes))):
            rule = elementwise
        if rule is None:
            raise CannotUnify(f"{same.name} is not known on arrays of different sizes")
        results = rule(self.lane, same, operands)
        for result, shape in zip(results, shapes, strict=True):
            assert jnp.shape(result) == padded(shape), (same.name, jnp.shape(result), padded(shape))
        return results

    def _constant(self, constants: Sequence[Any], shape: Sequence[Sizes]) -> Any:
        if not any(map(is_ragged, shape)):
            return self.lane.table.constant(constants)
        scalars = [np.asarray(value).reshape(-1)[:1] for value in constants]
        if any(np.any(np.asarray(v) != s) for v, s in zip(constants, scalars, strict=True) if np.size(v)):
            raise CannotUnify("the models have arrays of constants of different sizes")
        scalar = self.lane.table.constant([scalar.reshape(()) for scalar in scalars])
        return jnp.broadcast_to(scalar, padded(shape))


# --- programs inside of operations ------------------------------------------------------------------------


def _scan(run: _Run, same: Same, operands: Sequence[Value]) -> Sequence[Any]:
    same.check("jaxpr", "linear", "_split_transpose")
    constants, carried = same.param("num_consts"), same.param("num_carry")
    bodies = same.programs("jaxpr")
    arrays = [value.array for value in operands]
    outer, carry, items = arrays[:constants], arrays[constants:][:carried], arrays[constants + carried :]
    if any(is_ragged(value.shape[0]) for value in operands[constants + carried :]):
        raise CannotUnify("a loop is not as long in each model")

    def body(carry: Any, items: Any) -> tuple[Any, Any]:
        out = _Run(Lane(run.lane.table)).program(bodies, [*outer, *carry, *items])
        return out[:carried], out[carried:]

    length, reverse, unroll = same.param("length"), same.param("reverse"), same.param("unroll")
    carry, results = lax.scan(body, carry, items, length=length, reverse=reverse, unroll=unroll)
    return [*carry, *results]


def _while(run: _Run, same: Same, operands: Sequence[Value]) -> Sequence[Any]:
    tests, bodies = same.programs("cond_jaxpr"), same.programs("body_jaxpr")
    first, second = same.param("cond_nconsts"), same.param("body_nconsts")
    arrays = [value.array for value in operands]
    of_test, of_body, carry = arrays[:first], arrays[first:][:second], arrays[first + second :]

    def goes_on(carry: Any) -> Any:
        return _Run(Lane(run.lane.table)).program(tests, [*of_test, *carry])[0]

    def body(carry: Any) -> Any:
        return _Run(Lane(run.lane.table)).program(bodies, [*of_body, *carry])

    results: Sequence[Any] = lax.while_loop(goes_on, body, carry)
    return results


def _cond(run: _Run, same: Same, operands: Sequence[Value]) -> Sequence[Any]:
    index, *arrays = (value.array for value in operands)
    lists = same.each("branches")
    if len(set(map(len, lists))) > 1:
        raise CannotUnify("a choice has other branches in each model")

    def branch(programs: Sequence[Any]) -> Callable[..., Any]:
        return lambda *arrays: _Run(Lane(run.lane.table)).program(programs, arrays)

    results: Sequence[Any] = lax.switch(index, [branch(p) for p in zip(*lists, strict=True)], *arrays)
    return results


_LOOPS: dict[str, Callable[[_Run, Same, Sequence[Value]], Sequence[Any]]] = {
    "scan": _scan,
    "while": _while,
    "cond": _cond,
}


def shapes_of_one(state: State) -> State:
    """The shapes and dtypes of a state."""
    return State(*([jax.ShapeDtypeStruct(np.shape(a), a.dtype) for a in group] for group in state))


def shapes_of(state: Sequence[Sequence[Any]]) -> list[jax.ShapeDtypeStruct]:
    """The padded shapes of inputs.

    Args:
        state: for each model, the shapes and dtypes of its inputs.
    """
    return [
        jax.ShapeDtypeStruct(tuple(map(max, zip(*(a.shape for a in one), strict=True))), one[0].dtype)
        for one in zip(*state, strict=True)
    ]
