"""The rewritten step gives the same numbers: random bits exactly, the rest to float rounding."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from fairlane.engines.program.rewrite import convolutions, run_for_cpu, sums, walk
from fairlane.engines.program.tracing import traced
from fairlane.models.variables import read_state

few = settings(max_examples=12, deadline=None, derandomize=True)


def normal(*shape: int, seed: int = 0) -> Any:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def for_cpu(function: Any) -> Any:
    """A function as programs of lanes run a step on a CPU: traced, and rewritten while it runs."""

    def rewritten(*args: Any, **kwargs: Any) -> Any:
        step = traced(lambda args, kwargs: function(*args, **kwargs), args, kwargs)
        return step(run_for_cpu, args, kwargs)

    return rewritten


def primitives(function: Any, *args: Any) -> set[str]:
    """The names of all primitives that a function comes to, those inside others included."""
    names: set[str] = set()
    todo: list[Any] = [jax.make_jaxpr(function)(*args)]
    while todo:
        for program in walk.programs_in(todo.pop()):
            for eqn in program.eqns:
                names.add(eqn.primitive.name)
                todo.extend(eqn.params.values())
    return names


def assert_close(actual: Any, expected: Any, rtol: float = 1e-5, atol: float = 1e-5) -> None:
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert (a.shape, a.dtype) == (e.shape, e.dtype)
        np.testing.assert_allclose(a, e, rtol=rtol, atol=atol)


# -- random bits


DRAWS = {
    "uniform": lambda key: jax.random.uniform(key, (7, 5)),
    "one": lambda key: jax.random.uniform(key),
    "none": lambda key: jax.random.uniform(key, (0, 3)),
    "normal": lambda key: jax.random.normal(key, (33,)),
    "bernoulli": lambda key: jax.random.bernoulli(key, 0.3, (4, 3, 2)),
    "bytes": lambda key: jax.random.bits(key, (9,), "uint8"),
    "split": lambda key: jax.random.uniform(jax.random.split(key, (2, 3))[1, 2], (5,)),
    "split raw": lambda key: jax.random.key_data(jax.random.split(key)),
    "fold in": lambda key: jax.random.uniform(jax.random.fold_in(key, 3), (5,)),
    "permutation": lambda key: jax.random.permutation(key, 50),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
@pytest.mark.parametrize("key", [jax.random.key(5), jax.random.PRNGKey(2**31 + 7)], ids=["typed", "raw"])
def test_random_bits_are_those_of_jax(draw: Any, key: Any) -> None:
    np.testing.assert_array_equal(for_cpu(draw)(key), draw(key))
    np.testing.assert_array_equal(jax.jit(for_cpu(draw))(key), draw(key))


def test_random_bits_of_many_keys() -> None:
    keys = jax.random.split(jax.random.key(1), 6).reshape(2, 3)
    draw = DRAWS["normal"]
    expected = jax.vmap(jax.vmap(draw))(keys)
    np.testing.assert_array_equal(jax.vmap(jax.vmap(for_cpu(draw)))(keys), expected)
    np.testing.assert_array_equal(for_cpu(jax.vmap(jax.vmap(draw)))(keys), expected)


def test_random_bits_are_rewritten() -> None:
    draw = DRAWS["uniform"]
    assert "random_bits" in primitives(draw, jax.random.key(0))
    assert "random_bits" not in primitives(for_cpu(draw), jax.random.key(0))


def test_random_bits_that_are_paired_otherwise_are_left() -> None:
    with jax.threefry_partitionable(False):
        expected = DRAWS["uniform"](jax.random.key(3))
        np.testing.assert_array_equal(for_cpu(DRAWS["uniform"])(jax.random.key(3)), expected)
    assert not np.array_equal(DRAWS["uniform"](jax.random.key(3)), expected)


def test_keys_of_another_kind_are_left() -> None:
    key = jax.random.key(0, impl="rbg")
    assert "random_bits" in primitives(for_cpu(DRAWS["uniform"]), key)
    np.testing.assert_array_equal(for_cpu(DRAWS["uniform"])(key), DRAWS["uniform"](key))


# -- convolutions


@st.composite
def some_convolutions(draw: Any) -> tuple[Any, Any, dict[str, Any]]:
    n = draw(st.integers(1, 3))
    per_axis = st.tuples(*[st.integers(1, 2)] * n)
    kernel = draw(st.tuples(*[st.integers(1, 3)] * n))
    dilation, spread, strides = draw(per_axis), draw(per_axis), draw(per_axis)
    # no more padding than the kernel reaches: the gradient's would be negative, and XLA's own result garbage
    reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
    padding = [(draw(st.integers(0, r)), draw(st.integers(0, r))) for r in reach]
    size = [r + 3 + draw(st.integers(0, 2)) for r in reach]
    batch, channels, features = (draw(st.integers(1, 3)) for _ in range(3))
    layout = ("NCWHD"[: n + 2], "OIWHD"[: n + 2], "NCWHD"[: n + 2])
    if draw(st.booleans()):
        layout = ("NWHD"[: n + 1] + "C", "WHD"[:n] + "IO", "NWHD"[: n + 1] + "C")
    numbers = lax.conv_dimension_numbers(
        (batch, channels, *size) if layout[0][1] == "C" else (batch, *size, channels),
        (features, channels, *kernel) if layout[1][0] == "O" else (*kernel, channels, features),
        layout,
    )
    x = [0] * (n + 2)
    w = [0] * (n + 2)
    for shape, spec, sizes in (
        (x, numbers.lhs_spec, (batch, channels, *size)),
        (w, numbers.rhs_spec, (features, channels, *kernel)),
    ):
        for d, length in zip(spec, sizes, strict=True):
            shape[d] = length
    how = {
        "window_strides": strides,
        "padding": padding,
        "lhs_dilation": spread,
        "rhs_dilation": dilation,
        "dimension_numbers": numbers,
    }
    return normal(*x), normal(*w, seed=1), how


@few
@given(some_convolutions())
def test_convolutions_and_their_gradients(case: tuple[Any, Any, dict[str, Any]]) -> None:
    x, w, how = case

    def all_three(x: Any, w: Any) -> Any:
        out, back = jax.vjp(lambda x, w: lax.conv_general_dilated(x, w, **how), x, w)
        return out, back(normal(*out.shape, seed=2))

    assert_close(jax.jit(for_cpu(all_three))(x, w), jax.jit(all_three)(x, w))
    assert "conv_general_dilated" not in primitives(for_cpu(all_three), x, w)


def image_gradients(strides: tuple[int, int] = (1, 1), padding: str = "SAME") -> Any:
    def gradients(x: Any, w: Any) -> Any:
        def loss(x: Any, w: Any) -> Any:
            out = lax.conv_general_dilated(x, w, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))
            return (out**2).mean()

        return jax.value_and_grad(loss, (0, 1))(x, w)

    return gradients


@pytest.mark.parametrize("cached", [1, 20_000])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
@pytest.mark.parametrize("features", [2, 16])
def test_batches_are_taken_in_parts(
    cached: int, strides: tuple[int, int], features: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolutions, "WHOLE_PATCHES", 0)
    monkeypatch.setattr(convolutions, "CACHED_PATCHES", cached)
    x, w = normal(6, 11, 11, 8), normal(3, 3, 8, features, seed=1)
    function = image_gradients(strides)
    assert "scan" in primitives(for_cpu(function), x, w)
    assert_close(for_cpu(function)(x, w), function(x, w))


def test_patches_are_made_once_for_a_convolution_and_its_gradient() -> None:
    function = for_cpu(lambda x, w: image_gradients(padding="VALID")(x, w)[1][1])  # of the weights alone
    text = jax.jit(function).lower(normal(6, 11, 11, 8), normal(3, 3, 8, 16, seed=1)).compile().as_text()
    assert sum(" concatenate(" in line for line in text.splitlines()) == 1, text


def test_convolutions_under_vmap_and_scan() -> None:
    x, w = normal(4, 3, 9, 9, 2), normal(4, 3, 3, 2, 5, seed=1)
    function = image_gradients()
    expected = [function(*xw) for xw in zip(x, w, strict=True)]
    expected = jax.tree.map(lambda *parts: jnp.stack(parts), *expected)
    assert_close(jax.vmap(for_cpu(function))(x, w), expected)
    assert_close(for_cpu(jax.vmap(function))(x, w), expected)  # a batched kernel: groups, which are left
    assert_close(lax.map(lambda xw: for_cpu(function)(*xw), (x, w)), expected)


LEFT = {
    "groups": lambda: lax.conv_general_dilated(
        normal(2, 4, 8), normal(6, 2, 3), (1,), "SAME", feature_group_count=2
    ),
    "batch groups": lambda: lax.conv_general_dilated(
        normal(4, 2, 8), normal(6, 2, 3), (1,), "SAME", batch_group_count=2
    ),
    "half precision": lambda: lax.conv_general_dilated(
        normal(2, 2, 8).astype("bfloat16"), normal(6, 2, 3).astype("bfloat16"), (1,), "SAME"
    ),
    "nothing comes out": lambda: lax.conv_general_dilated(normal(0, 2, 8), normal(6, 2, 3), (1,), "SAME"),
    "many slices": lambda: lax.conv_general_dilated(normal(1, 1, 400), normal(1, 1, 150), (1,), "VALID"),
}


@pytest.mark.parametrize("function", LEFT.values(), ids=LEFT.keys())
def test_other_convolutions_are_left(function: Any) -> None:
    assert "conv_general_dilated" in primitives(for_cpu(function))
    np.testing.assert_array_equal(for_cpu(function)(), function())


def test_large_patches_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolutions, "LARGEST_PATCHES", 1000)
    assert "conv_general_dilated" in primitives(
        for_cpu(image_gradients()), normal(1, 8, 8, 4), normal(3, 3, 4, 4)
    )


# -- pooling


def pooled(how: str, window: tuple[int, ...], strides: tuple[int, ...], padding: Any) -> Any:
    init, combine = (-jnp.inf, lax.max) if how == "max" else (0.0, lax.add)

    def both(x: Any) -> Any:
        out, back = jax.vjp(lambda x: lax.reduce_window(x, init, combine, window, strides, padding), x)
        return out, back(normal(*out.shape, seed=2))[0]

    return both


WINDOWS = [
    ((2, 7, 8, 3), (1, 2, 2, 1)),
    ((2, 9, 8), (1, 3, 1)),
    ((1, 3, 5, 6), (1, 1, 2, 3)),
    ((1, 4, 5, 4, 2), (1, 2, 3, 2, 1)),
]


@pytest.mark.parametrize(("shape", "window"), WINDOWS)
def test_pooling_with_ties_is_exact(shape: tuple[int, ...], window: tuple[int, ...]) -> None:
    x = jnp.round(normal(*shape))  # few different values: many ties
    function = pooled("max", window, window, "VALID")
    for rewritten in (for_cpu(function), jax.jit(for_cpu(function))):
        for actual, expected in zip(rewritten(x), function(x), strict=True):
            np.testing.assert_array_equal(actual, expected)
    assert not primitives(for_cpu(function), x) & {"reduce_window_max", "select_and_scatter_add"}


def test_pooling_of_numbers_that_are_none() -> None:
    x = normal(1, 6, 6, 2).at[0, 0, 0, 0].set(jnp.nan).at[0, 3, 3, 1].set(-jnp.inf)
    function = pooled("max", (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    for actual, expected in zip(for_cpu(function)(x), function(x), strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(("shape", "window"), WINDOWS)
@pytest.mark.parametrize("padding", ["VALID", "SAME"])
@pytest.mark.parametrize("by", [0, 1])
def test_sums(shape: tuple[int, ...], window: tuple[int, ...], padding: str, by: int) -> None:
    function = pooled("sum", window, tuple(max(1, w - by) for w in window), padding)
    assert_close(jax.jit(for_cpu(function))(normal(*shape)), function(normal(*shape)))
    assert "reduce_window_sum" not in primitives(for_cpu(function), normal(*shape))


@pytest.mark.parametrize("padding", ["VALID", "SAME"])
def test_overlapping_maxima_are_rewritten_and_their_gradients_left(padding: str) -> None:
    x = jnp.round(normal(2, 7, 8, 3))
    function = pooled("max", (1, 3, 3, 1), (1, 2, 2, 1), padding)
    for actual, expected in zip(for_cpu(function)(x), function(x), strict=True):
        np.testing.assert_array_equal(actual, expected)
    names = primitives(for_cpu(function), x)
    assert "reduce_window_max" not in names
    assert "select_and_scatter_add" in names


def test_pooling_of_whole_numbers_is_left() -> None:
    x = jnp.arange(16).reshape(1, 4, 4, 1)

    def pool(x: Any) -> Any:
        window = (1, 2, 2, 1)
        return lax.reduce_window(x, jnp.iinfo(x.dtype).min, lax.max, window, window, "VALID")

    np.testing.assert_array_equal(for_cpu(pool)(x), pool(x))


# -- sums


@few
@given(
    st.lists(st.integers(1, 5), min_size=2, max_size=4),
    st.booleans(),
    st.sampled_from(["float32", "bfloat16"]),
)
def test_sums_over_the_last_axis(shape: list[int], two: bool, dtype: str) -> None:
    x = normal(*shape).astype(dtype).at[(0,) * len(shape)].set(jnp.nan)

    def normalised(x: Any) -> Any:
        mean = x / x.sum((1, -1) if two and x.ndim > 2 else -1, keepdims=True)
        return mean.astype(jnp.float32)  # which NumPy can compare

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sums, "SMALLEST", 1)
        assert "bitcast_convert_type" in primitives(for_cpu(normalised), x)
        np.testing.assert_array_equal(for_cpu(normalised)(x), normalised(x))


def test_softmax_and_its_gradient() -> None:
    x, w = normal(3, 5, 7, 41), normal(3, 5, 7, 41, seed=1)

    def gradient(x: Any, w: Any) -> Any:
        return jax.value_and_grad(lambda x: (jax.nn.softmax(x) * w).sum())(x)

    assert_close(jax.jit(for_cpu(gradient))(x, w), gradient(x, w), atol=1e-6)
    assert_close(jax.jit(jax.vmap(for_cpu(gradient)))(x, w), jax.vmap(gradient)(x, w), atol=1e-6)


@pytest.mark.parametrize("axis", [(0, 1), 0, ()])
def test_sums_over_other_axes_are_left(axis: Any) -> None:
    assert "bitcast_convert_type" not in primitives(for_cpu(lambda x: x.sum(axis)), normal(100, 50))


def test_sums_of_whole_numbers_are_left() -> None:
    x = jnp.ones((100, 50), jnp.int32)
    assert "bitcast_convert_type" not in primitives(for_cpu(lambda x: x.sum(-1)), x)


# -- programs inside programs


def noisy(key: Any, x: Any) -> Any:
    return x * 0.5 + jax.random.uniform(key, x.shape)


def scanned(key: Any, x: Any) -> Any:
    return lax.scan(lambda x, k: (noisy(k, x), x.sum()), x, jax.random.split(key, 3))


def looped(key: Any, x: Any) -> Any:
    def more(state: tuple[Any, Any]) -> Any:
        return jax.random.uniform(jax.random.fold_in(key, state[0])) < 0.9

    return lax.while_loop(more, lambda state: (state[0] + 1, noisy(key, state[1])), (0, x))


@jax.custom_jvp
def with_own_derivative(key: Any, x: Any) -> Any:
    return noisy(key, x)


with_own_derivative.defjvp(
    lambda primals, tangents: (with_own_derivative(*primals), jnp.full_like(tangents[1], 7.0))
)


@jax.custom_vjp
def with_own_gradient(key: Any, x: Any) -> Any:
    return noisy(key, x)


with_own_gradient.defvjp(
    lambda key, x: (noisy(key, x), None), lambda _, given: (None, jnp.full_like(given, 7.0))
)

INSIDE = {
    "jit": jax.jit(noisy),
    "remat": lambda key, x: jax.grad(lambda x: (jax.checkpoint(noisy)(key, x) ** 2).sum())(x),
    "scan": scanned,
    "while": looped,
    "cond": lambda key, x: lax.cond(x.sum() > 0, noisy, lambda key, x: x, key, x),
    "custom_jvp": with_own_derivative,
    "custom_vjp": with_own_gradient,
}


@pytest.mark.parametrize("function", INSIDE.values(), ids=INSIDE.keys())
def test_programs_inside_programs(function: Any) -> None:
    key, x = jax.random.PRNGKey(4), normal(3, 2)
    assert_close(for_cpu(function)(key, x), function(key, x), atol=0)
    assert_close(jax.jit(for_cpu(function))(key, x), function(key, x), atol=0)
    assert "random_bits" not in primitives(for_cpu(function), key, x)
    keys, xs = jax.random.split(key, 4), normal(4, 3, 2)
    assert_close(jax.vmap(for_cpu(function))(keys, xs), jax.vmap(function)(keys, xs), atol=0)


def test_nothing_to_rewrite() -> None:
    def function(x: Any, *, scale: float, table: dict[str, Any]) -> Any:
        return {"a": jnp.sort(x) * scale, "b": (table["t"], None, jax.nn.relu(x))}

    x, table = normal(5), {"t": jnp.arange(3)}
    actual = for_cpu(function)(x, scale=2.0, table=table)
    expected = function(x, scale=2.0, table=table)
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, actual, expected)
    assert primitives(lambda x: for_cpu(function)(x, scale=2.0, table=table), x) == primitives(
        lambda x: function(x, scale=2.0, table=table), x
    )


def test_values_from_around_the_function() -> None:
    @jax.jit
    def outer(y: Any) -> Any:
        return for_cpu(lambda x: noisy(jax.random.PRNGKey(0), x) * y)(normal(3))

    assert_close(outer(2.0), noisy(jax.random.PRNGKey(0), normal(3)) * 2.0, atol=0)


# -- whole models


def cnn() -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((12, 12, 2)),
            layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(6, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.BatchNormalization(),
            layers.Conv2D(3, 2),
            layers.AveragePooling2D(2),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(3, "softmax"),
        ]
    )


def recurrent() -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [keras.Input((6, 4)), layers.LSTM(5, dropout=0.2), layers.Dropout(0.4), layers.Dense(3, "softmax")]
    )


def dense() -> keras.Model:
    return keras.Sequential([keras.Input((7,)), keras.layers.Dense(3, "softmax")])


@pytest.fixture(params=[cnn, recurrent, dense])
def training(request: pytest.FixtureRequest) -> tuple[keras.Model, Any, Any]:
    keras.utils.set_random_seed(3)
    model = request.param()
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = np.asarray(normal(8, *model.input_shape[1:])), np.arange(8) % 3
    model._symbolic_build(data_batch=(x, y))
    return model, tuple(read_state(model)), (x, y)


def test_a_step_of_training(training: tuple[keras.Model, Any, Any]) -> None:
    model, state, batch = training
    actual, expected = (jax.jit(step)(state, batch) for step in (for_cpu(model.train_step), model.train_step))
    assert_close(actual, jax.tree.map(jnp.asarray, expected), atol=1e-6)
    left = set(walk._RULES) - {"reduce_sum"}  # a sum stays one; only what it is made of changes
    assert not primitives(for_cpu(model.train_step), state, batch) & left


def test_steps_of_lanes(training: tuple[keras.Model, Any, Any]) -> None:
    model, state, batch = training

    def steps(rewritten: bool) -> Any:
        train_step = for_cpu(model.train_step) if rewritten else model.train_step

        def step(state: Any, _: Any) -> Any:
            logs, new = train_step(state, batch)
            return jax.tree.map(lambda old, n: jnp.asarray(n, old.dtype), state, tuple(map(list, new))), logs

        def lane(shift: Any) -> Any:
            start = jax.tree.map(lambda a: a + (shift.astype(a.dtype) if a.dtype == jnp.uint32 else 0), state)
            return lax.scan(step, start, length=3)

        return jax.jit(jax.vmap(lane))(jnp.arange(2))

    assert_close(steps(True), steps(False), atol=1e-5)


def test_a_step_of_testing(training: tuple[keras.Model, Any, Any]) -> None:
    model, state, batch = training
    tested = (state[0], state[1], state[3])
    actual, expected = (jax.jit(step)(tested, batch) for step in (for_cpu(model.test_step), model.test_step))
    assert_close(actual, expected, atol=1e-6)
