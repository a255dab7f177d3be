"""What operations do on padded arrays that calculate: element by element, or along an axis.

In: a lane, an operation as each model has it, and values. Out: its results, right wherever the lane has an
element.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fairlane.engines.program.outline import bind
from fairlane.engines.program.rewrite.random_bits import hash_of
from fairlane.engines.program.sizes.aligned import CannotUnify, Same, is_ragged
from fairlane.engines.program.sizes.lanes import Lane, Value, padded

Rule = Callable[[Lane, Same, Sequence[Value]], Sequence[Any]]

# fmt: off
_ELEMENTWISE = frozenset({
    "abs", "acos", "acosh", "add", "add_any", "and", "asin", "asinh", "atan", "atan2", "atanh",
    "bitcast_convert_type", "cbrt", "ceil", "clamp", "convert_element_type", "copy", "copy_p",
    "cos", "cosh", "digamma", "div", "eq", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1",
    "floor", "ge", "gt", "integer_pow", "is_finite", "le", "lgamma", "log", "log1p", "logistic",
    "lt", "max", "min", "mul", "ne", "neg", "nextafter", "not", "one_minus_square", "or",
    "polynomial", "pow", "reduce_precision", "rem", "round", "rsqrt", "select_n", "shift_left",
    "shift_right_arithmetic", "shift_right_logical", "sign", "sin", "sinh", "sqrt", "square",
    "stop_gradient", "sub", "tan", "tanh", "threefry2x32", "xor",
})
# fmt: on
"""Operations that calculate each element from those at the same place."""


def is_elementwise(name: str) -> bool:
    """Whether an operation calculates each element from those at the same place."""
    return name in _ELEMENTWISE


def elementwise(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    """Element by element; or an operation of arrays that are as long in all models."""
    same.check()
    return bind(same.eqns[0], [value.array for value in values], same.eqns[0].params)


def _reduction(neutral: Callable[[Any], Any]) -> Rule:
    def reduce(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
        same.check()
        (value,) = values
        array = lane.filled(value, same.param("axes"), neutral(value.array.dtype))
        return bind(same.eqns[0], [array], same.eqns[0].params)

    return reduce


def _running(neutral: Callable[[Any], Any]) -> Rule:
    """A running sum or the like: from the front it does not come to the padding."""

    def accumulate(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
        same.check()
        (value,) = values
        array = value.array
        if same.param("reverse"):
            array = lane.filled(value, [same.param("axis")], neutral(array.dtype))
        return bind(same.eqns[0], [array], same.eqns[0].params)

    return accumulate


def _lowest(dtype: Any) -> Any:
    if jnp.issubdtype(dtype, jnp.floating):
        return -math.inf
    return jnp.iinfo(dtype).min if jnp.issubdtype(dtype, jnp.integer) else False


def _highest(dtype: Any) -> Any:
    if jnp.issubdtype(dtype, jnp.floating):
        return math.inf
    return jnp.iinfo(dtype).max if jnp.issubdtype(dtype, jnp.integer) else True


def _ones(dtype: Any) -> Any:
    """Every bit is set."""
    if jnp.issubdtype(dtype, jnp.unsignedinteger):
        return jnp.iinfo(dtype).max
    return -1 if jnp.issubdtype(dtype, jnp.integer) else True


def _constantly(value: Any) -> Callable[[Any], Any]:
    return lambda dtype: value


def _product(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    """A product of matrices: what is multiplied and added up is filled with zeros, on both sides."""
    same.check()
    left, right = values
    (of_left, of_right), _ = same.param("dimension_numbers")
    arrays = lane.filled(left, of_left, 0), lane.filled(right, of_right, 0)
    return bind(same.eqns[0], arrays, same.eqns[0].params)


def _convolution(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    """A convolution, whose channels may be ragged; its positions may not."""
    same.check("lhs_shape", "rhs_shape", "feature_group_count", "batch_group_count")
    numbers, (left, right) = same.param("dimension_numbers"), values
    positions = [
        *(left.shape[i] for i in numbers.lhs_spec[2:]),
        *(right.shape[i] for i in numbers.rhs_spec[2:]),
    ]
    if any(map(is_ragged, positions)):
        raise CannotUnify("a convolution runs over another number of positions in each model")
    params = dict(same.eqns[0].params)
    for name, axis in (
        ("feature_group_count", numbers.lhs_spec[1]),
        ("batch_group_count", numbers.lhs_spec[0]),
    ):
        groups = tuple(same.each(name))
        if set(groups) == {1}:
            continue
        # Each channel by itself is fine; several that are mixed would be cut otherwise when padded.
        of_each = tuple(size // n for size, n in zip(right.shape[numbers.rhs_spec[0]], groups, strict=True))
        alone = groups == left.shape[axis] and not is_ragged(of_each)
        if not alone and (left.ragged or right.ragged):
            raise CannotUnify("a convolution by groups has another number of channels in each model")
        params[name] = max(groups)
    mixed, also = numbers.lhs_spec[1], numbers.rhs_spec[1]
    arrays = lane.filled(left, [mixed], 0), lane.filled(right, [also], 0)
    return bind(same.eqns[0], arrays, params)


def _window(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    """A pooling, whose windows do not lie along a ragged axis."""
    same.check()
    window, steps = same.param("window_dimensions"), same.param("window_strides")
    beside = same.param("padding")
    for value in values:
        if any((window[a], steps[a], *beside[a]) != (1, 1, 0, 0) for a in value.ragged):
            raise CannotUnify("a window lies along an axis that is not as long in each model")
    return bind(same.eqns[0], [value.array for value in values], same.eqns[0].params)


def _random_bits(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    """Random bits: the bits of an element follow from its number, counted as in the lane's own model."""
    same.check("shape")
    (keys,) = values
    shape = tuple(zip(*same.each("shape"), strict=True))
    if not any(map(is_ragged, shape)):
        return bind(same.eqns[0], [keys.array], same.eqns[0].params)
    known = str(keys.array.dtype) == "key<fry>" and bool(jax.config.jax_threefry_partitionable)
    if keys.shape or not known or same.param("bit_width") == 64 or math.prod(padded(shape)) >= 2**31:
        raise CannotUnify("random numbers of this sort are not known on arrays of different sizes")
    number: Any = np.uint32(0)
    for axis, sizes in enumerate(shape):
        place = lax.broadcasted_iota("uint32", padded(shape), axis)
        number = number * jnp.asarray(lane.size(sizes), "uint32") + place
    first, second = hash_of(keys.array, number)
    return [lax.convert_element_type(first ^ second, same.eqns[0].outvars[0].aval.dtype)]


RULES: dict[str, Rule] = {
    "reduce_sum": _reduction(_constantly(0)),
    "reduce_prod": _reduction(_constantly(1)),
    "reduce_max": _reduction(_lowest),
    "reduce_min": _reduction(_highest),
    "reduce_or": _reduction(_constantly(False)),
    "reduce_and": _reduction(_ones),
    "argmax": _reduction(_lowest),
    "argmin": _reduction(_highest),
    "cumsum": _running(_constantly(0)),
    "cumprod": _running(_constantly(1)),
    "cummax": _running(_lowest),
    "cummin": _running(_highest),
    "dot_general": _product,
    "conv_general_dilated": _convolution,
    "reduce_window_max": _window,
    "reduce_window_min": _window,
    "reduce_window_sum": _window,
    "select_and_scatter_add": _window,
    "random_bits": _random_bits,
}
