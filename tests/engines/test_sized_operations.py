"""Operations on padded arrays, one at a time: right wherever a lane has an element, or refused."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fairlane.engines.program.sizes.aligned import CannotUnify
from fairlane.engines.program.sizes.run import run, shapes_of
from fairlane.engines.program.sizes.table import PLACES, Table

SIZES = (2, 3, 5)
RNG = np.random.default_rng(1)
SOME = np.array([0, 1, 9, -1], "int32")
"""Places in an array; not all are inside, where it is short."""


def array(*shape):
    return RNG.normal(size=shape).astype("float32")


def windows(x, k, groups=1):
    numbers = ("NWC", "WIO", "NWC")
    return lax.conv_general_dilated(x, k, (1,), "SAME", dimension_numbers=numbers, feature_group_count=groups)


def sum_of_grad(f):
    return jax.grad(lambda x: jnp.sum(f(x) * jnp.arange(1, 1 + f(x).size).reshape(f(x).shape)))


def along(x, i):
    return jnp.take_along_axis(x, i[:, None], axis=1)


def noise(draw):
    return lambda x: x + draw(jax.random.key(3), shape=x.shape).astype("float32")


# What is done; and with what, for a size.
RIGHT = {
    "take, filled": (lambda x, i: jnp.take(x, i, axis=0), lambda n: (array(n, 3), SOME)),
    "take, clipped": (lambda x, i: jnp.take(x, i, axis=0, mode="clip"), lambda n: (array(n, 3), SOME)),
    "take, wrapped": (lambda x, i: jnp.take(x, i, axis=0, mode="wrap"), lambda n: (array(n, 3), SOME)),
    "the last": (lambda x: x[:, -1], lambda n: (array(4, n),)),
    "every second": (lambda x: x[:, 1::2], lambda n: (array(4, 2 * n),)),
    "the first half": (lambda x: x[:, : x.shape[1] // 2], lambda n: (array(4, 2 * n),)),
    "backwards": (lambda x: x[::-1, ::-1], lambda n: (array(4, n),)),
    "roll": (lambda x: jnp.roll(x, 1, axis=1), lambda n: (array(4, n),)),
    "sorted along another": (lambda x: jnp.sort(x, axis=0), lambda n: (array(4, n),)),
    "sums from behind": (lambda x: lax.cumsum(x, axis=1, reverse=True), lambda n: (array(4, n),)),
    "softmax": (jax.nn.softmax, lambda n: (array(4, n),)),
    "one hot": (lambda x: jax.nn.one_hot(jnp.argmax(x, 1), x.shape[1]), lambda n: (array(4, n),)),
    "tile": (lambda x: jnp.tile(x, (2, 3)), lambda n: (array(4, n),)),
    "repeat": (lambda x: jnp.repeat(x, 2, axis=1), lambda n: (array(4, n),)),
    "stack": (lambda x: jnp.stack([x, x + 1], -1).reshape(4, -1), lambda n: (array(4, n),)),
    "unstack": (lambda x: jnp.unstack(x)[1], lambda n: (array(3, n),)),
    "split": (lambda x: jnp.split(x, 2, axis=1)[1], lambda n: (array(4, 2 * n),)),
    "interleaved": (
        lambda x: jnp.transpose(x.reshape(4, 3, -1), (2, 0, 1)).reshape(-1, 3),
        lambda n: (array(4, 3 * n),),
    ),
    "outer product": (lambda x: jnp.outer(x, x).reshape(-1), lambda n: (array(n),)),
    "diagonal": (jnp.diagonal, lambda n: (array(n, n),)),
    "places added to": (lambda x, i, u: x.at[i].add(u), lambda n: (array(n, 3), SOME, array(4, 3))),
    "places of another": (lambda x, i, u: x.at[i].set(u), lambda n: (array(6, n), SOME, array(4, n))),
    "along": (along, lambda n: (array(4, n), SOME)),
    "along, gradient": (lambda x, i: sum_of_grad(partial(along, i=i))(x), lambda n: (array(4, n), SOME)),
    "padded with edges": (lambda x: jnp.pad(x, ((0, 0), (1, 2)), mode="edge"), lambda n: (array(4, n),)),
    "cut by padding": (lambda x: lax.pad(x, 7.0, ((0, 0, 0), (1, -1, 0))), lambda n: (array(4, n),)),
    "padded between": (lambda x: lax.pad(x, 7.0, ((0, 0, 0), (1, 2, 1))), lambda n: (array(4, n),)),
    "cut, and padded": (lambda x: lax.pad(x, 7.0, ((0, 0, 0), (-1, 2, 1))), lambda n: (array(4, n),)),
    "every second, gradient": (sum_of_grad(lambda x: x[:, 1::2]), lambda n: (array(4, 2 * n),)),
    "padded by its size": (
        lambda x, y: lax.pad(x, 7.0, ((0, 0, 0), (y.size, 1, 0))),
        lambda n: (array(4, 4), array(n)),
    ),
    "padded with two values": (
        lambda x: [lax.pad(x, by, ((0, 0, 0), (1, 2, 0))) for by in (jnp.sum(x[0]), jnp.sum(x[1]))],
        lambda n: (array(4, n),),
    ),
    "maximum, gradient": (sum_of_grad(lambda x: jnp.max(x, axis=1)), lambda n: (array(4, n),)),
    "reshaped, gradient": (sum_of_grad(lambda x: x.reshape(2, -1).T), lambda n: (array(4, n),)),
    "a constant by the size": (lambda x: x * float(x.shape[1]) ** -0.5, lambda n: (array(4, n),)),
    "normal noise": (noise(jax.random.normal), lambda n: (array(4, n),)),
    "noise of half precision": (
        noise(partial(jax.random.uniform, dtype="bfloat16")),
        lambda n: (array(4, n),),
    ),
    "Bernoulli": (noise(partial(jax.random.bernoulli, p=0.5)), lambda n: (array(4, n),)),
    "a loop by values": (
        lambda x: lax.while_loop(lambda s: jnp.sum(s) < 99, lambda s: s * 1.5 + 1, jnp.abs(x)),
        lambda n: (array(n),),
    ),
    "a choice": (lambda x: lax.cond(jnp.sum(x) > 0, jnp.sin, jnp.cos, x), lambda n: (array(n),)),
}

REFUSED = {
    "filters by channel": (partial(windows, groups=4), lambda n: (array(2, 6, 4), array(3, 1, 4 * n))),
    "groups of filters": (partial(windows, groups=2), lambda n: (array(2, 6, 2), array(3, 1, 2 * n))),
    "groups of channels": (partial(windows, groups=2), lambda n: (array(2, 6, 2 * n), array(3, n, 6))),
    "positions": (windows, lambda n: (array(2, n, 3), array(3, 3, 2))),
    "a part of its size": (
        lambda x, y, i: lax.dynamic_slice(x, (i,), y.shape) + y,
        lambda n: (array(10), array(n), np.int32(9)),
    ),
    "a part along the axis": (
        lambda x, i: lax.dynamic_slice(x, (i,), (2,)),
        lambda n: (array(n), np.int32(9)),
    ),
    "parts of its size": (
        lambda x, y, i: jax.vmap(lambda i: lax.dynamic_slice(x, (i,), y.shape))(i),
        lambda n: (array(10), array(n), SOME),
    ),
    "a part replaced": (
        lambda x, y, i: lax.dynamic_update_slice(x, y, (i,)),
        lambda n: (array(10), array(n), np.int32(9)),
    ),
    "sorted": (partial(jnp.sort, axis=1), lambda n: (array(4, n),)),
    "factors": (lambda x: jnp.linalg.qr(x)[1], lambda n: (array(6, n),)),
    "windows along": (
        lambda x: lax.reduce_window(x, 0.0, lax.add, (1, 2), (1, 1), "VALID"),
        lambda n: (array(4, n),),
    ),
    "a loop as long": (lambda x: lax.scan(lambda c, v: (c + v, c), 0.0, x), lambda n: (array(n),)),
    "another power": (lambda x: x ** x.shape[1], lambda n: (array(4, n),)),
    "other constants": (lambda x: x * np.arange(x.shape[1], dtype="float32"), lambda n: (array(4, n),)),
    "constants of half precision": (
        lambda x: x.astype("bfloat16") / x.shape[1],
        lambda n: (array(4, n),),
    ),
    "another branch of Python's": (lambda x: x * 2 if x.shape[1] > 2 else x + 2, lambda n: (array(4, n),)),
}

ROW = [jax.ShapeDtypeStruct((PLACES,), dtype) for dtype in ("int32", "float32")]


def programs_of(f, arguments):
    """An operation, traced for each size; its arguments for each, and their shapes when padded."""
    lanes = [arguments(n) for n in SIZES]
    whole = shapes_of([[jax.ShapeDtypeStruct(a.shape, a.dtype) for a in lane] for lane in lanes])
    return [jax.make_jaxpr(f)(*lane) for lane in lanes], lanes, whole


def with_rubbish(a, shape):
    """An array, padded with NaN, or with a place that nothing has."""
    room = np.full(shape, np.nan if a.dtype.kind == "f" else 77, a.dtype)
    room[tuple(map(slice, a.shape))] = a
    return room


def test_operations_on_padded_arrays_give_each_lane_its_own():
    """All of them in one program for each lane, so that there is little to compile."""
    kinds = {name: programs_of(*of) for name, of in RIGHT.items()}
    tables = {name: Table() for name in kinds}

    def padded(rows, arrays):
        return {name: run(kinds[name][0], tables[name].read(*rows[name]), arrays[name]) for name in kinds}

    jax.eval_shape(padded, dict.fromkeys(kinds, ROW), {name: whole for name, (_, _, whole) in kinds.items()})
    together = jax.jit(padded)
    for i, n in enumerate(SIZES):
        own = {name: lanes[i] for name, (_, lanes, _) in kinds.items()}
        alone = jax.jit(lambda own: {name: jax.tree.leaves(RIGHT[name][0](*own[name])) for name in own})(own)
        arrays = {
            name: [with_rubbish(a, s.shape) for a, s in zip(lanes[i], whole, strict=True)]
            for name, (_, lanes, whole) in kinds.items()
        }
        ours = together({name: table.arrays(table.row(i)) for name, table in tables.items()}, arrays)
        for name, expected in alone.items():
            for mine, theirs in zip(ours[name], expected, strict=True):
                part = np.asarray(mine)[tuple(map(slice, theirs.shape))]
                np.testing.assert_allclose(part, theirs, 1e-5, 1e-6, err_msg=f"{name}, {n}")


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_on_padded_arrays_is_refused(name):
    programs, _, whole = programs_of(*REFUSED[name])
    with pytest.raises(CannotUnify):
        jax.eval_shape(lambda row, arrays: run(programs, Table().read(*row), arrays), ROW, whole)
