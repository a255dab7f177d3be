"""Traced programs are compared: equal outlines differ in constants alone, which can become inputs of one program."""

from __future__ import annotations

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlane.engines.program.outline import LARGEST_INPUT, _Drawing, outline, whole, with_inputs

X = np.linspace(-1, 1, 6, dtype="float32").reshape(2, 3)


def traced(function):
    return jax.make_jaxpr(function)(X)


def run(program, *arrays):
    return [np.asarray(a) for a in jax.extend.core.jaxpr_as_fun(program)(*arrays)]


def differing(one, other):
    a, b = outline(one), outline(other)
    assert a.digest == b.digest
    return [i for i, (m, n) in enumerate(zip(a.numbers, b.numbers, strict=True)) if not np.array_equal(m, n)]


@jax.jit
def jitted(x, factor):
    return jnp.where(x > factor, x, factor)


def power(c):
    return lambda x: x * c + jnp.maximum(x, 0.5 * c)


def in_calls(c):
    return lambda x: jax.nn.relu(jitted(x, c) - c) + jax.jit(lambda y: jax.jit(lambda z: z * c)(y))(x)


def of_arrays(c):
    return lambda x: x @ jnp.asarray(np.full((3, 3), c, "float32")) + np.array([c, 1, c], "float32")


def of_integers(c):
    return lambda x: x * jnp.asarray(int(c * 8))


@pytest.mark.parametrize("make", [power, in_calls, of_arrays, of_integers])
def test_constants_become_inputs(make):
    one, other = traced(make(0.25)), traced(make(1.5))
    places = differing(one, other)
    assert places
    numbers = [outline(other).numbers[i] for i in places]
    kinds = [jax.ShapeDtypeStruct(np.shape(n), n.dtype) for n in numbers]
    program = with_inputs(one, places, kinds)
    given = [np.asarray(n, n.dtype) for n in numbers]
    for made, expected in zip(run(program, *given, X), run(other, X), strict=True):
        np.testing.assert_array_equal(made, expected)


def test_an_input_of_another_step_is_not_used():
    program = with_inputs(traced(power(0.5)), [None], [jax.ShapeDtypeStruct((), "float32")])
    np.testing.assert_array_equal(run(program, np.float32(7), X)[0], run(traced(power(0.5)), X)[0])


UNLIKE = {
    "operation": (lambda x: x + 1.0, lambda x: x - 1.0),
    "wiring": (lambda x: x - 2 * x, lambda x: 2 * x - x),
    "parameter": (lambda x: x.sum(axis=0).sum(), lambda x: x.sum(axis=1).sum()),
    "shape of a constant": (lambda x: x + jnp.ones(3), lambda x: x + jnp.ones((2, 3))),
    "branch": (
        lambda x: jax.lax.cond(x[0, 0] > 0, jnp.sin, jnp.cos, x),
        lambda x: jax.lax.cond(x[0, 0] > 0, jnp.sin, jnp.sin, x),
    ),
    "constant in a loop": (
        lambda x: jax.lax.fori_loop(0, 3, lambda i, y: y * 0.5, x),
        lambda x: jax.lax.fori_loop(0, 3, lambda i, y: y * 0.7, x),
    ),
    "large array": (
        lambda x: x[0, 0] + jnp.asarray(np.zeros(LARGEST_INPUT + 1, "float32")),
        lambda x: x[0, 0] + jnp.asarray(np.ones(LARGEST_INPUT + 1, "float32")),
    ),
    "random key": (
        lambda x: x + jax.random.normal(KEYS[0]),
        lambda x: x + jax.random.normal(KEYS[1]),
    ),
}
KEYS = [jax.random.key(seed) for seed in (0, 1)]


@pytest.mark.parametrize(("one", "other"), UNLIKE.values(), ids=UNLIKE.keys())
def test_other_differences_are_other_outlines(one, other):
    assert outline(traced(one)).digest != outline(traced(other)).digest


@pytest.mark.parametrize("one", [pair[0] for pair in UNLIKE.values()], ids=UNLIKE.keys())
def test_the_same_function_has_the_same_outline(one):
    first = outline(traced(one))
    jax.clear_caches()
    again = outline(traced(one))
    assert first.digest == again.digest
    assert all(map(np.array_equal, first.numbers, again.numbers))


def test_files_of_functions_that_jax_remembers_are_listed():
    assert __file__ in outline(traced(lambda x: jitted(x, 1.0))).sources
    assert (
        __file__
        in outline(traced(lambda x: jax.lax.map(jnp.sin, x) + jax.lax.cond(True, _twice, _twice, x))).sources
    )
    assert __file__ not in outline(traced(jnp.sin)).sources


def _twice(x):
    return 2 * x


OPERATIONS = [
    lambda x, c: x * c,
    lambda x, c: x + c,
    lambda x, c: jnp.tanh(x) / (abs(c) + 1),
    lambda x, c: jax.nn.relu(x - c),
    lambda x, c: jitted(x, c),
    lambda x, c: x @ jnp.full((3, 3), c),
    lambda x, c: jnp.where(x > 0, c, x),
]


@settings(max_examples=30, deadline=None)
@given(
    chain=st.lists(st.sampled_from(range(len(OPERATIONS))), min_size=1, max_size=5),
    some=st.lists(st.sampled_from([0.25, 0.5, 2.0, 3.0]), min_size=5, max_size=5),
    others=st.lists(st.sampled_from([0.125, 0.75, 1.5, 5.0]), min_size=5, max_size=5),
)
def test_any_chain_runs_with_the_constants_of_another(chain, some, others):
    def function(constants):
        def apply(x):
            for which, c in zip(chain, constants, strict=False):
                x = OPERATIONS[which](x, c)
            return x

        return apply

    one, other = traced(function(some)), traced(function(others))
    places = differing(one, other)
    numbers = [outline(other).numbers[i] for i in places]
    program = with_inputs(one, places, [jax.ShapeDtypeStruct(np.shape(n), n.dtype) for n in numbers])
    made = run(program, *[np.asarray(n, n.dtype) for n in numbers], X)[0]
    np.testing.assert_array_equal(made, run(other, X)[0])


# --- all of a program -------------------------------------------------------------------------------------


def random(x):
    return x + jax.random.uniform(jax.random.key(0), x.shape)


@pytest.mark.parametrize("function", [power(2.0), lambda x: jitted(x, 0.5), random])
def test_the_same_code_has_the_same_digest_and_no_address_is_in_it(function, monkeypatch):
    assert whole(traced(function)) == whole(traced(function))
    tokens = []
    emit = _Drawing.emit
    monkeypatch.setattr(
        _Drawing, "emit", lambda self, *token: tokens.append(repr(token)) or emit(self, *token)
    )
    assert whole(traced(function))
    assert not [token for token in tokens if " at 0x" in token]


def constant(last):
    return np.append(np.zeros(LARGEST_INPUT + 1), last)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (power(2.0), power(3.0)),
        (lambda x: jitted(x, 0.5), lambda x: jitted(x, 0.25)),
        (lambda x: constant(0) + x.sum(), lambda x: constant(1) + x.sum()),
        (
            lambda x: jax.lax.fori_loop(0, 3, lambda i, y: y * 2.0, x),
            lambda x: jax.lax.fori_loop(0, 3, lambda i, y: y * 3.0, x),
        ),
        (lambda x: x @ x.T, lambda x: jnp.matmul(x, x.T, precision="highest")),
        (lambda x: x.sum(), lambda x: x.sum(keepdims=True)),
    ],
    ids=["number", "in a call", "array", "in a loop", "precision", "shape"],
)
def test_whatever_differs_gives_another_digest(one, other):
    assert whole(traced(one)) != whole(traced(other))


def test_where_an_operation_is_called_is_part_of_it():
    from jax.experimental.xla_metadata import set_xla_metadata

    def elsewhere(x):
        with set_xla_metadata(where="there"):
            return jnp.sin(x)

    assert whole(traced(elsewhere)) != whole(traced(jnp.sin))


def test_what_python_or_other_code_does_has_no_digest():
    def calls(x):
        return jax.pure_callback(lambda y: np.asarray(y), jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    own = jax.extend.core.Primitive("sin")  # it has the name of one of JAX's, and is none
    own.def_abstract_eval(lambda x: x)
    assert whole(traced(calls)) == ""
    assert whole(traced(lambda x: own.bind(x))) == ""
    assert whole(traced(jnp.sin)) != ""
