"""What operations do on padded arrays that move elements: reshaping, cutting, joining, looking up.

In: a lane, an operation as each model has it, and values. Out: its results, right wherever the lane has an
element. The elements of a lane always stand at the beginning of an axis, the padding behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from fairlane.engines.program.outline import bind
from fairlane.engines.program.sizes.aligned import CannotUnify, Same, Sizes, is_ragged
from fairlane.engines.program.sizes.lanes import Lane, Value, padded
from fairlane.engines.program.sizes.rules import Rule


def _arrays(values: Sequence[Value]) -> list[Any]:
    return [value.array for value in values]


def _as_it_is(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    """An operation whose parameters name axes, and not sizes."""
    same.check()
    return bind(same.eqns[0], _arrays(values), same.eqns[0].params)


def _broadcast(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    same.check("shape")
    value, axes, shape = values[0], same.param("broadcast_dimensions"), same.out_shape()
    for axis, sizes in zip(axes, value.shape, strict=True):
        if sizes != shape[axis] and set(sizes) != {1}:
            raise CannotUnify("an array is broadcast in one model, and not in another")
    return [lax.broadcast_in_dim(value.array, padded(shape), axes)]


def _iota(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    same.check("shape")
    return [lax.broadcasted_iota(same.param("dtype"), padded(same.out_shape()), same.param("dimension"))]


# --- reshaping --------------------------------------------------------------------------------------------


def _reshape(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    same.check("new_sizes")
    order, out = same.param("dimensions"), same.out_shape()
    value = values[0]
    if order is not None:  # it transposes first
        value = Value(lax.transpose(value.array, order), tuple(value.shape[axis] for axis in order))
    if not np.all(_count(out)):  # an array without elements has no groups of axes
        if np.any(_count(out)):
            raise CannotUnify("an array has no elements in one model, and some in another")
        return [jnp.zeros(padded(out), value.array.dtype)]
    array, done = value.array, 0
    for before, after in _groups(value.shape, out):
        array = _regroup(lane, array, done, before, after)
        done += len(after)
    return [array]


def _groups(before: Sequence[Sizes], after: Sequence[Sizes]) -> list[tuple[list[Sizes], list[Sizes]]]:
    """Axes that become other axes together, the fewest possible at a time."""
    groups: list[tuple[list[Sizes], list[Sizes]]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        old, new = list(before[i : i + 1]), list(after[j : j + 1])
        i, j = i + len(old), j + len(new)
        while np.any(_count(old) != _count(new)):
            if j == len(after) or (i < len(before) and np.sum(_count(old)) < np.sum(_count(new))):
                old.append(before[i])
                i += 1
            else:
                new.append(after[j])
                j += 1
        groups.append((old, new))
    return groups


def _count(axes: Sequence[Sizes]) -> Any:
    """How many elements axes have together, in each model."""
    return np.prod(np.array(axes, "int64").reshape(len(axes), -1), axis=0) if axes else np.int64(1)


def _regroup(lane: Lane, array: Any, at: int, before: Sequence[Sizes], after: Sequence[Sizes]) -> Any:
    """Let some axes of an array, from ``at`` on, become others of as many elements."""
    left, right = array.shape[:at], array.shape[at + len(before) :]
    whole = (*left, *padded(after), *right)
    if list(before) == list(after):
        return array
    inner_before, inner_after = before[1:], after[1:]
    if not any(map(is_ragged, (*inner_before, *inner_after))):
        # Only the slowest axis is ragged: what is padded stays at the end.
        rows = array.reshape(*left, -1, *right)
        missing = int(np.prod(padded(after))) - rows.shape[at]
        if missing < 0:
            rows = lax.slice_in_dim(rows, 0, rows.shape[at] + missing, axis=at)
        elif missing:
            rows = jnp.pad(rows, [(0, missing if i == at else 0) for i in range(rows.ndim)])
        return rows.reshape(whole)
    rows = array.reshape(*left, int(np.prod(padded(before))), *right)
    number = _number(lane, after)
    place = _place(lane, number, before)
    return jnp.take(rows, place.reshape(-1), axis=at, mode="clip").reshape(whole)


def _number(lane: Lane, shape: Sequence[Sizes]) -> Any:
    """The number of each element, counted as in the lane's own model."""
    number: Any = jnp.zeros(padded(shape), "int32")
    for axis, sizes in enumerate(shape):
        number = number * lane.size(sizes) + lax.broadcasted_iota("int32", padded(shape), axis)
    return number


def _place(lane: Lane, number: Any, shape: Sequence[Sizes]) -> Any:
    """Where the elements of these numbers stand in a padded array."""
    place, stride = jnp.zeros_like(number), 1
    for sizes in reversed(shape[1:]):
        size = lane.size(sizes)
        place = place + number % size * stride
        number, stride = number // size, stride * max(sizes)
    return place + number * stride


# --- cutting ----------------------------------------------------------------------------------------------


def _cut(lane: Lane, value: Any, starts: Sequence[Sizes], shape: Sequence[Sizes]) -> Any:
    """A part of an array, with a beginning and sizes of the lane's own."""
    array = value
    for axis, (start, sizes) in enumerate(zip(starts, shape, strict=True)):
        length = max(sizes)
        if set(start) == {0}:
            if array.shape[axis] > length:
                array = lax.slice_in_dim(array, 0, length, axis=axis)
        else:
            # Room behind, so that a part that begins late is not moved forward.
            last = max(start) + length
            if last > array.shape[axis]:
                more = last - array.shape[axis]
                array = jnp.pad(array, [(0, more if i == axis else 0) for i in range(array.ndim)])
            if is_ragged(start):
                array = lax.dynamic_slice_in_dim(array, lane.size(start), length, axis=axis)
            else:
                array = lax.slice_in_dim(array, start[0], start[0] + length, axis=axis)
    return array


def _slice(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    same.check("start_indices", "limit_indices", "strides")
    value, shape = values[0], same.out_shape()
    starts = list(zip(*same.each("start_indices"), strict=True))
    strides = same.param("strides") or (1,) * len(shape)
    array = value.array
    for axis, stride in enumerate(strides):
        if stride == 1:
            continue
        if is_ragged(starts[axis]):
            raise CannotUnify("a slice with steps begins at another place in each model")
        begin, last = starts[axis][0], starts[axis][0] + (max(shape[axis]) - 1) * stride + 1
        array = lax.slice_in_dim(array, begin, max(begin, last), stride, axis)
        starts[axis] = (0,) * len(same.eqns)
    return [_cut(lane, array, starts, shape)]


def _split(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    same.check("sizes")
    value, axis = values[0], same.param("axis")
    parts = list(zip(*same.each("sizes"), strict=True))
    results, begin = [], [0] * len(same.eqns)
    for i, sizes in enumerate(parts):
        starts = [tuple(begin) if a == axis else (0,) * len(begin) for a in range(len(value.shape))]
        results.append(_cut(lane, value.array, starts, same.out_shape(i)))
        begin = [at + size for at, size in zip(begin, sizes, strict=True)]
    return results


def _dynamic_slice(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    same.check("slice_sizes")
    value, *places = values
    # A part as long as the axis begins at its beginning, in all models and here.
    for whole, part in zip(value.shape, same.out_shape(), strict=True):
        if whole != part and (is_ragged(whole) or is_ragged(part)):
            raise CannotUnify("a part is looked up whose size, or axis, is not as long in each model")
    return [lax.dynamic_slice(value.array, _arrays(places), padded(same.out_shape()))]


def _dynamic_update(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    same.check()
    value, part, *places = values
    for axis in {*value.ragged, *part.ragged}:
        if value.shape[axis] != part.shape[axis]:
            raise CannotUnify("a part is replaced along an axis that is not as long in each model")
    return [lax.dynamic_update_slice(value.array, part.array, _arrays(places))]


# --- joining ----------------------------------------------------------------------------------------------


def _concatenate(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    same.check()
    axis, shape = same.param("dimension"), same.out_shape()
    if not any(is_ragged(value.shape[axis]) for value in values):
        return [lax.concatenate(_arrays(values), axis)]
    room = [*padded(shape)]
    room[axis] = sum(max(value.shape[axis]) for value in values)
    whole = jnp.zeros(room, values[0].array.dtype)
    begin = [0] * len(same.eqns)
    for value in values:  # each writes over the padding of the one before
        start = lane.size(tuple(begin))
        whole = lax.dynamic_update_slice_in_dim(whole, value.array, start, axis)
        begin = [at + size for at, size in zip(begin, value.shape[axis], strict=True)]
    return [lax.slice_in_dim(whole, 0, max(shape[axis]), axis=axis)]


def _pad(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    same.check("padding_config")
    value, fill = values
    shape, whole = same.out_shape(), [(0, 0, 0)] * len(value.shape)
    array = lane.filled(value, range(len(value.shape)), fill.array)
    for axis, configs in enumerate(zip(*same.each("padding_config"), strict=True)):
        low, high, inner = (tuple(config[i] for config in configs) for i in range(3))
        if any(map(is_ragged, (value.shape[axis], low, high, inner))):
            if is_ragged(inner) or (inner[0] and not all(value.shape[axis])) or min(low) < 0 < max(low):
                raise CannotUnify("arrays of different sizes are padded in a way that is not known")
            array = _pad_along(lane, array, fill.array, axis, (low, high, inner[0]), shape[axis])
        else:
            whole[axis] = low[0], high[0], inner[0]
    return [lax.pad(array, fill.array, whole)]


def _pad_along(
    lane: Lane, array: Any, fill: Any, axis: int, config: tuple[Sizes, Sizes, int], sizes: Sizes
) -> Any:
    """An array that is filled behind the lane's own elements, padded along an axis; ``sizes`` come out."""
    low, high, inner = config
    around = [(0, 0, 0)] * array.ndim
    around[axis] = 0, max(0, *high), inner
    array = lax.pad(array, fill, around)
    if min(low) >= 0:
        return _put(lane, array, fill, axis, low, max(sizes))
    axes = range(array.ndim)  # it is cut, as in the gradient of a padding
    starts = [tuple(-n if a == axis else 0 for n in low) for a in axes]
    return _cut(lane, array, starts, [sizes if a == axis else (array.shape[a],) for a in axes])


def _put(lane: Lane, array: Any, fill: Any, axis: int, low: Sizes, length: int) -> Any:
    """An array between elements of a fill; what is before it has a size of the lane's own."""
    room = [*array.shape]
    room[axis] = max(length, max(low) + array.shape[axis])  # or a late beginning would be moved forward
    whole = jnp.full(room, fill, array.dtype)
    whole = lax.dynamic_update_slice_in_dim(whole, array, lane.size(low), axis)
    return lax.slice_in_dim(whole, 0, length, axis=axis)


# --- looking up -------------------------------------------------------------------------------------------


def _gather(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    same.check("slice_sizes")
    value, places = values
    numbers, sizes = same.param("dimension_numbers"), list(zip(*same.each("slice_sizes"), strict=True))
    indexed = [axis for axis in numbers.start_index_map if is_ragged(value.shape[axis])]
    indices = _within(lane, same, value, places, indexed, numbers.start_index_map)
    for axis in range(len(value.shape)):
        whole = sizes[axis] == value.shape[axis] or axis in numbers.operand_batching_dims
        one = axis not in value.ragged or (axis in indexed and set(sizes[axis]) == {1})
        if not whole and (not one or is_ragged(sizes[axis])):
            raise CannotUnify("a part is looked up along an axis that is not as long in each model")
    params = {**same.eqns[0].params, "slice_sizes": padded(sizes)}
    return bind(same.eqns[0], [value.array, indices], params)


def _within(
    lane: Lane, same: Same, value: Value, places: Value, indexed: Sequence[int], columns: Sequence[int]
) -> Any:
    """Indices that mean the same in the padded array: beyond the lane's own size they are outside."""
    indices, mode = places.array, str(same.param("mode"))
    if indices.dtype.itemsize < 4:  # a size need not be a number of so few bits
        indices = indices.astype("int32")
    for axis in indexed:
        column = list(columns).index(axis)
        size = jnp.asarray(lane.size(value.shape[axis]), indices.dtype)
        mine = indices[..., column]
        if "CLIP" in mode:
            mine = jnp.clip(mine, 0, size - 1)
        else:  # those outside are filled, or dropped
            outside = jnp.asarray(max(value.shape[axis]), indices.dtype)
            mine = jnp.where((mine >= 0) & (mine < size), mine, outside)
        indices = indices.at[..., column].set(mine)
    return indices


def _scatter(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    same.check("update_jaxpr")
    value, places, updates = values
    numbers = same.param("dimension_numbers")
    window = set(numbers.update_window_dims)
    if places.ragged or any(axis not in window for axis in updates.ragged):
        raise CannotUnify("as many elements are replaced in each model as it is wide")
    if any(is_ragged(value.shape[axis]) for axis in numbers.operand_batching_dims):
        raise CannotUnify("elements are replaced in as many arrays as the model is wide")
    indexed = [axis for axis in numbers.scatter_dims_to_operand_dims if is_ragged(value.shape[axis])]
    left_out = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
    kept = [a for a in range(len(value.shape)) if a not in left_out]
    for axis, place in zip(kept, sorted(window), strict=True):
        if updates.shape[place] != value.shape[axis] and (axis in value.ragged or place in updates.ragged):
            raise CannotUnify("a part is replaced along an axis that is not as long in each model")
    indices = _within(lane, same, value, places, indexed, numbers.scatter_dims_to_operand_dims)
    return bind(same.eqns[0], [value.array, indices, updates.array], same.eqns[0].params)


def _sort(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    same.check()
    if any(is_ragged(value.shape[same.param("dimension")]) for value in values):
        raise CannotUnify("values are sorted along an axis that is not as long in each model")
    return bind(same.eqns[0], _arrays(values), same.eqns[0].params)


def _reverse(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    same.check()
    value = values[0]
    array = value.array
    for axis in same.param("dimensions"):
        if axis in value.ragged:
            place = jnp.arange(array.shape[axis], dtype="int32")
            place = lane.size(value.shape[axis]) - 1 - place
            array = jnp.take(array, place, axis=axis, mode="clip")
        else:
            array = lax.rev(array, (axis,))
    return [array]


def _tile(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    same.check()
    value = values[0]
    array, repeats = value.array, same.param("reps")
    for axis, often in enumerate(repeats):
        if often == 1:
            continue
        place = jnp.arange(array.shape[axis] * often, dtype="int32") % lane.size(value.shape[axis])
        array = jnp.take(array, place, axis=axis, mode="clip")
    return [array]


def _unstack(lane: Lane, same: Same, values: Sequence[Value]) -> Sequence[Any]:
    same.check()  # as many results in each model, or there would be other operations after it
    if same.param("axis") in values[0].ragged:
        raise CannotUnify("an array becomes as many arrays as the model is wide")
    return bind(same.eqns[0], _arrays(values), same.eqns[0].params)


MOVES: dict[str, Rule] = {
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update,
    "expand_dims": _as_it_is,
    "gather": _gather,
    "iota": _iota,
    "pad": _pad,
    "reshape": _reshape,
    "rev": _reverse,
    "scatter": _scatter,
    "scatter-add": _scatter,
    "slice": _slice,
    "sort": _sort,
    "split": _split,
    "squeeze": _as_it_is,
    "stack": _as_it_is,
    "tile": _tile,
    "transpose": _as_it_is,
    "unstack": _unstack,
}
"""Operations that move elements; where no axis is ragged, they are run as they are by these, too."""
