"""Initial values without a compilation per shape, held to Keras's own, bit for bit."""

import random

import jax
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from fairlane.kit.values import same_bits
from fairlane.models.initial_values import Drawing, Pattern

INITIALIZERS = {
    "random_uniform": keras.initializers.RandomUniform,
    "shifted_uniform": lambda seed: keras.initializers.RandomUniform(-0.3, 1.7, seed=seed),
    "random_normal": keras.initializers.RandomNormal,
    "shifted_normal": lambda seed: keras.initializers.RandomNormal(0.1, 0.7, seed=seed),
    "truncated_normal": keras.initializers.TruncatedNormal,
    "glorot_uniform": keras.initializers.GlorotUniform,
    "glorot_normal": keras.initializers.GlorotNormal,
    "he_uniform": keras.initializers.HeUniform,
    "he_normal": keras.initializers.HeNormal,
    "lecun_uniform": keras.initializers.LecunUniform,
    "lecun_normal": keras.initializers.LecunNormal,
    "variance_scaling": lambda seed: keras.initializers.VarianceScaling(
        2.0, "fan_out", "untruncated_normal", seed
    ),
    "orthogonal": keras.initializers.Orthogonal,
    "zeros": lambda seed: keras.initializers.Zeros(),
    "ones": lambda seed: keras.initializers.Ones(),
    "constant": lambda seed: keras.initializers.Constant(0.3),
    "identity": lambda seed: keras.initializers.Identity(),
}
DTYPES = ("float32", "bfloat16", "float16", "int32")


def variable(initializer, shape, dtype="float32"):
    return keras.Variable(initializer, shape, dtype, name="v")


def alike(a, b):
    assert same_bits(a.value, b.value)
    assert a.value.dtype == b.value.dtype
    assert a.value.weak_type == b.value.weak_type
    assert a.value.committed == b.value.committed


@pytest.mark.parametrize("name", INITIALIZERS)
@settings(max_examples=6, deadline=None)
@given(shape=st.tuples(st.integers(1, 70), st.integers(1, 70)), seed=st.integers(0, 2**32 - 1))
def test_values_are_kerass(name, shape, seed):
    expected = variable(INITIALIZERS[name](seed=seed), shape)
    with Drawing():
        found = variable(INITIALIZERS[name](seed=seed), shape)
    alike(found, expected)


@pytest.mark.parametrize("shape", [(), (1,), (3, 3, 2, 5), (1025,), (64, 64), (65, 64), (300, 300), (0, 3)])
@pytest.mark.parametrize("name", ["random_uniform", "random_normal", "truncated_normal", "zeros"])
def test_of_any_shape(name, shape):
    expected = variable(INITIALIZERS[name](seed=7), shape)
    with Drawing():
        found = variable(INITIALIZERS[name](seed=7), shape)
    alike(found, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["glorot_uniform", "he_normal", "ones"])
def test_of_any_dtype(name, dtype):
    if dtype == "int32" and name != "ones":
        pytest.skip("JAX draws no integers so")
    expected = variable(INITIALIZERS[name](seed=7), (5, 4), dtype)
    with Drawing():
        found = variable(INITIALIZERS[name](seed=7), (5, 4), dtype)
    alike(found, expected)


def test_where_random_bits_do_not_go_by_place():
    before = jax.config.jax_threefry_partitionable
    jax.config.update("jax_threefry_partitionable", False)
    try:
        expected = variable(keras.initializers.GlorotUniform(3), (5, 4))
        with Drawing():
            found = variable(keras.initializers.GlorotUniform(3), (5, 4))
        alike(found, expected)
    finally:
        jax.config.update("jax_threefry_partitionable", before)


def test_a_new_shape_compiles_nothing(caplog):
    def compiled():
        return [record for record in caplog.records if "compilation of" in record.getMessage()]

    with jax.log_compiles(), Drawing():
        variable("glorot_uniform", (31, 17))
        variable("he_normal", (31, 17))
        caplog.clear()
        for name, shape in (
            ("glorot_uniform", (33, 19)),
            ("he_normal", (7, 3)),
            ("zeros", (41,)),
            ("ones", (43,)),
        ):
            variable(name, shape)
        assert not compiled()
        jax.random.uniform(jax.random.key(0), (33, 23))
        assert compiled()


def test_other_draws_are_left_alone():
    generator = keras.random.SeedGenerator(4)
    expected = (
        keras.random.normal((3,), seed=keras.random.SeedGenerator(4)),
        keras.random.uniform((3,), seed=1),
    )
    with Drawing() as drawing:
        found = keras.random.normal((3,), seed=generator), keras.random.uniform((3,), seed=1)
    assert all(map(same_bits, found, expected))
    assert not drawing.initialized


# --- patterns ---------------------------------------------------------------------------------------------


def mlp():
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5, kernel_initializer="he_normal"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(3, kernel_initializer="orthogonal", bias_initializer="random_normal"),
        ]
    )


def attention():
    inputs = keras.Input((4, 6))
    x = layers.MultiHeadAttention(2, 3, dropout=0.1)(inputs, inputs)
    return keras.Model(inputs, layers.Dense(1)(layers.LayerNormalization()(x)))


def recurrent():
    return keras.Sequential([keras.Input((4, 6)), layers.LSTM(3, dropout=0.1), layers.Dense(1)])


def own_seed():
    return keras.Sequential(
        [keras.Input((6,)), layers.Dense(2, kernel_initializer=INITIALIZERS["he_normal"](5))]
    )


def built(build, seed):
    keras.utils.set_random_seed(seed)
    with Drawing() as drawing:
        model = build()
        model.compile("adam", "mse")
        model.optimizer.build(model.trainable_variables)
    return drawing, [*model.variables, *model.optimizer.variables], random.getstate()


@pytest.mark.parametrize("build", [mlp, attention, recurrent, own_seed])
def test_a_pattern_gives_what_another_seed_gives(build):
    drawing, variables, _ = built(build, 1)
    pattern = Pattern.of(drawing, variables)
    _, others, python = built(build, 2)
    values, state = pattern.begin(2)
    assert state == python
    assert all(same_bits(variable.value, value) for variable, value in zip(others, values, strict=True))
    assert any(not same_bits(a.value, b.value) for a, b in zip(variables, others, strict=True)) == (
        build is not own_seed
    )


def test_there_is_no_pattern_where_what_was_drawn_was_used_for_something_else():
    def pretrained():
        model = mlp()
        model.set_weights([w + 1 for w in model.get_weights()])
        return model

    def shifted():
        model = mlp()
        keras.initializers.RandomUniform()((2,))
        return model

    def moved():
        keras.random.uniform((), seed=keras.random.SeedGenerator())
        return mlp()

    assert [Pattern.of(*built(build, 1)[:2]) for build in (pretrained, shifted, moved)] == [None] * 3


def test_looks_at_values_are_counted():
    with Drawing() as drawing:
        model = mlp()
        assert drawing.looks == 0
        model.layers[0].kernel.numpy()
        assert drawing.looks == 1
        float(model.layers[0].kernel[0, 0])
        assert drawing.looks == 2
        model.get_weights()
        assert drawing.looks == 2 + len(model.weights)


@pytest.mark.parametrize("parameters", [(0.0, np.ones(4, "float32")), (-np.ones(4), np.ones(4))])
def test_parameters_that_are_arrays_are_left_to_keras(parameters):
    normal = isinstance(parameters[0], float)
    kind = keras.initializers.RandomNormal if normal else keras.initializers.RandomUniform
    expected = variable(kind(*parameters, seed=5), (3, 4))
    with Drawing():
        found = variable(kind(*parameters, seed=5), (3, 4))
    alike(found, expected)


def test_nothing_is_left_behind():
    names = ("_initialize_with_initializer", "value")
    before = [getattr(keras.src.backend.Variable, name) for name in names]
    with pytest.raises(ZeroDivisionError), Drawing():
        1 / 0  # noqa: B018
    assert [getattr(keras.src.backend.Variable, name) for name in names] == before
    assert not set(names) & set(vars(keras.src.backend.Variable))
    assert keras.src.random.seed_generator.python_random is random
