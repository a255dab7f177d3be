"""A model's step for batches of another size, without tracing it: another model shows what the size changes.

In: a model's step for batches of two sizes, and another model's step for batches of the first. Out: the
other's step for batches of the second; or `CannotUnify`, where the size may change something else in it.

A value in a step (the length of an axis, a number) is compared between the three. Where the batch's size does
not change it in the one model, it is the other's own; where the two models have the same, it is what the
batch's size makes of it. Where both change it, it must be a whole number in proportion to the batch's size,
such as the number of elements of an array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, DropVar, Jaxpr, JaxprEqn, Literal, Var

from fairlane.engines.program.sizes.aligned import LABELS, CannotUnify, same_constants


def derive(shown: ClosedJaxpr, changed: ClosedJaxpr, own: ClosedJaxpr, sizes: tuple[int, int]) -> ClosedJaxpr:
    """A step for batches of another size.

    Args:
        shown: a step for batches of the first size.
        changed: the same model's for batches of the second.
        own: another model's step for batches of the first, which has the skeleton of ``shown``.
        sizes: how many samples a batch has, first and second.

    Returns:
        The other model's step for batches of the second size.

    Raises:
        CannotUnify: it is not known.
    """
    return _Deriving(*sizes).closed(shown, changed, own)


class _Deriving:
    def __init__(self, first: int, second: int) -> None:
        self.first, self.second = first, second

    # --- programs -----------------------------------------------------------------------------------

    def closed(self, *programs: ClosedJaxpr) -> ClosedJaxpr:
        """A program with its constants."""
        shown, changed, own = programs
        consts = [self.value(*three) for three in _together(shown.consts, changed.consts, own.consts)]
        return ClosedJaxpr(self.program(shown.jaxpr, changed.jaxpr, own.jaxpr), consts)

    def program(self, *programs: Jaxpr) -> Jaxpr:
        """A program."""
        named: dict[Any, Var] = {}

        def bound(shown: Any, changed: Any, own: Any) -> Var:
            aval = self.aval(shown.aval, changed.aval, own.aval)
            if isinstance(own, DropVar):
                return DropVar(aval)
            named[own] = variable = Var(aval)
            return variable

        def read(shown: Any, changed: Any, own: Any) -> Any:
            if len({isinstance(atom, Literal) for atom in (shown, changed, own)}) > 1:
                raise CannotUnify("a value is a constant for batches of one size, and calculated for another")
            if not isinstance(own, Literal):
                return named[own]
            aval = self.aval(shown.aval, changed.aval, own.aval)
            return Literal(self.value(shown.val, changed.val, own.val), aval)

        def all_of(part: str, make: Callable[[Any, Any, Any], Any]) -> list[Any]:
            return [make(*three) for three in _together(*(getattr(program, part) for program in programs))]

        def equation(*eqns: JaxprEqn) -> JaxprEqn:
            if len({eqn.primitive.name for eqn in eqns}) > 1:
                raise CannotUnify("other operations run on batches of another size")
            invars = [read(*three) for three in _together(*(eqn.invars for eqn in eqns))]
            params = {
                name: value if name in LABELS else self.value(*(eqn.params[name] for eqn in eqns))
                for name, value in eqns[2].params.items()
            }
            outvars = [bound(*three) for three in _together(*(eqn.outvars for eqn in eqns))]
            return eqns[2].replace(invars=invars, outvars=outvars, params=params)

        constvars, invars = all_of("constvars", bound), all_of("invars", bound)
        eqns, outvars = all_of("eqns", equation), all_of("outvars", read)
        return programs[2].replace(constvars=constvars, invars=invars, eqns=eqns, outvars=outvars)

    # --- values -------------------------------------------------------------------------------------

    def aval(self, shown: Any, changed: Any, own: Any) -> Any:
        """The shape and dtype of a value."""
        if not hasattr(own, "shape"):
            return own
        if len({str(aval.dtype) for aval in (shown, changed, own)}) > 1:
            raise CannotUnify("a value has another dtype for batches of another size")
        return own.update(shape=self.value(shown.shape, changed.shape, own.shape))

    def value(self, shown: Any, changed: Any, own: Any) -> Any:
        """A parameter, or a constant."""
        if isinstance(own, ClosedJaxpr):
            return self.closed(shown, changed, own)
        if isinstance(own, Jaxpr):
            return self.program(shown, changed, own)
        if type(own) in (tuple, list):
            return type(own)(self.value(*three) for three in _together(shown, changed, own))
        if callable(own) or _equal(shown, changed):
            return own
        if _equal(shown, own):
            return changed
        return self._in_proportion(shown, changed, own)

    def _in_proportion(self, shown: Any, changed: Any, own: Any) -> Any:
        """A number of elements."""
        three = [shown, changed, own]
        if all(np.ndim(v) == 0 and np.size(v) == 1 and float(v).is_integer() for v in three):
            was, now, mine = (int(v) for v in three)
            if was * self.second == now * self.first and mine * self.second % self.first == 0:
                result = mine * self.second // self.first
                return result if isinstance(own, int) else np.asarray(result, own.dtype)[()]
        raise CannotUnify("a value depends on the batch's size and on the model's at once")


def _together(*lists: Sequence[Any]) -> list[tuple[Any, ...]]:
    if len(set(map(len, lists))) > 1:
        raise CannotUnify("other operations run on batches of another size")
    return list(zip(*lists, strict=True))


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray | jax.Array | np.generic):
        return same_constants(a, b)
    return a is b or bool(type(a) is type(b) and (a == b or repr(a) == repr(b)))
