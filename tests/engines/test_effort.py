"""XLA is quick at programs that run seldom, and their numbers are the same to float rounding."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import fairlane as fl
from _alone import assert_logs_agree, history_of, keras_alone
from fairlane.engines.program import effort as own
from fairlane.engines.program.effort import effort, operations, pays, work


def program(function, *shapes):
    return jax.make_jaxpr(function)(*map(jnp.ones, shapes))


def test_work_counts_the_elements_that_are_computed():
    assert work(program(lambda x: jnp.sin(x) + 1, (4, 5))) == 40
    assert work(program(lambda x: jax.lax.scan(lambda c, a: (c + a, c * a), x[0], x)[0], (3, 2))) >= 3 * 4
    product = work(program(lambda a, b: a @ b, (4, 16), (16, 3)))
    assert product == 4 * 3 * (1 + 16 / 8)
    endless = program(lambda x: jax.lax.while_loop(lambda y: y.sum() < 9, lambda y: y + 1, x), (2,))
    assert work(endless) == np.inf


def test_xla_is_quick_only_at_what_runs_seldom():
    step = program(lambda x: jnp.sin(x) + 1, (1000,))
    most = 2 * 2_000_000 // 2000  # two operations, which compute 2000 elements
    assert effort(step, most) == own._QUICK
    assert effort(step, most + 1) == own._LESS


def test_a_narrower_program_pays_where_it_saves_more_than_its_compilation():
    step = program(lambda x: jnp.sin(x) + 1, (1000,))
    least = operations(step) * own.SECONDS_PER_OPERATION / (work(step) * own.SECONDS_PER_ELEMENT)
    assert pays(step, least * 1.01)
    assert not pays(step, least * 0.99)
    endless = program(lambda x: jax.lax.while_loop(lambda y: y.sum() < 9, lambda y: y + 1, x), (2,))
    assert not pays(endless, 1e12)


def test_which_program_trains_a_lane_does_not_depend_on_how_long_compiling_took(monkeypatch, tmp_path):
    """Compiled for the first time and loaded the second: a lane that is left alone stays in its program."""
    monkeypatch.setenv("FAIRLANE_CACHE", str(tmp_path))
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(512, 3)).astype("float32"), rng.normal(size=(512, 1)).astype("float32")

    def build(rate):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(rate), "mse")
        return model

    def stops(trial):
        stop = keras.callbacks.EarlyStopping("loss", patience=0, min_delta=9.0)
        return [] if trial.hyperparameters["rate"] == 0.03 else [stop]

    def histories():
        study = fl.compare(
            build,
            {"rate": [0.01, 0.02, 0.03, 0.04, 0.05]},
            x,
            y,
            epochs=400,
            batch_size=8,
            shuffle=False,
            callbacks=stops,
            engine="lanes",
            verbose=0,
        )
        assert study.trials["state"].tolist() == ["done"] * 5
        return study.trials["loop"].tolist(), study.history

    (loops, first), (again, second) = histories(), histories()
    assert first["trial"].value_counts().nunique() > 1  # one is left alone
    assert again == loops
    assert second.equals(first)


def test_an_older_xla_is_not_asked_for_what_it_does_not_know(monkeypatch):
    monkeypatch.setattr(own, "_QUICK", {"xla_no_such_option": 1})
    own._knows_quick.cache_clear()
    try:
        assert effort(program(jnp.sin, (2,)), 1) == own._LESS
    finally:
        own._knows_quick.cache_clear()


def build(learning_rate):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "gelu"), keras.layers.Dropout(0.3)])
    model.add(keras.layers.LayerNormalization())
    model.add(keras.layers.Dense(1))
    model.compile(keras.optimizers.Adam(learning_rate), "mse", metrics=["mae"])
    return model


@pytest.mark.parametrize("most", [-1.0, 1e2, np.inf], ids=["none", "last batches", "all"])
def test_the_numbers_are_keras_own_whatever_the_effort(monkeypatch, shipped_compiler, most):
    monkeypatch.setattr(own, "_MOST_WORK", most)
    x = np.random.RandomState(0).normal(size=(40, 4)).astype("float32")
    y = x.sum(axis=1, keepdims=True)
    fit = {"epochs": 3, "batch_size": 8, "validation_split": 0.3}
    study = fl.compare(build, {"learning_rate": [0.01, 0.02]}, x, y, verbose=0, **fit)
    assert set(study.trials["engine"]) == {"lanes"}
    alone = keras_alone(build, {"learning_rate": 0.02}, 0, x, y, **fit)
    assert_logs_agree(history_of(study, 1), alone.logs)
