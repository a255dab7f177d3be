"""A session is a fresh process as far as hidden state goes, and leaves the caller's as it was."""

from __future__ import annotations

import json
import os
import random
import sys

import keras
import numpy as np
import pytest
from keras import layers

import _processes
import fairlane as fl
from fairlane.models.session import Session


def draws():
    """One draw of every generator that a seed sets."""
    return [
        random.random(),
        float(np.random.rand()),  # noqa: NPY002
        float(keras.random.uniform(())),
        float(keras.initializers.GlorotUniform()((2, 2))[0, 0]),
        keras.random.SeedGenerator().state.numpy().tolist()
        if hasattr(keras.random.SeedGenerator().state, "numpy")
        else np.asarray(keras.random.SeedGenerator().state.value).tolist(),
    ]


def hidden_state():
    """All that a session must leave alone; reading it changes nothing."""
    numpy = np.random.get_state()  # noqa: NPY002
    state = keras.src.backend.common.global_state.GLOBAL_STATE_TRACKER.__dict__
    generator = state.get("global_seed_generator")
    return {
        "python": random.getstate(),
        "numpy": (numpy[0], numpy[1].tolist(), *numpy[2:]),
        "names": dict(state.get("object_name_uids") or {}),
        "generator": None if generator is None else np.asarray(generator.state.value).tolist(),
        "same generator": id(generator),
        "policy": keras.config.dtype_policy().name,
        "floatx": keras.config.floatx(),
        "epsilon": keras.config.epsilon(),
        "images": keras.config.image_data_format(),
        "traceback filtering": keras.config.is_traceback_filtering_enabled(),
    }


def unsettle():
    """What a builder may do to the session."""
    keras.utils.set_random_seed(99)
    draws()
    keras.Sequential([keras.Input((2,)), layers.Dense(3), layers.Dropout(0.1)])
    keras.config.set_dtype_policy("mixed_bfloat16")
    keras.config.set_floatx("float64")
    keras.config.set_epsilon(1e-3)
    keras.config.set_image_data_format("channels_first")


@pytest.fixture(autouse=True)
def _own_state():
    """These tests play with the hidden state by hand."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    layers.Dense(2)
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize("seed", [0, None])
def test_the_callers_state_is_as_before(seed):
    before = hidden_state()
    with Session(seed):
        unsettle()
        assert hidden_state() != before
    assert hidden_state() == before


def test_what_the_caller_draws_next_is_the_same():
    with Session(1):
        draws()
    after = draws()
    keras.utils.set_random_seed(3)
    layers.Dense(2)
    assert draws() == after


def test_an_exception_changes_nothing_of_that():
    before = hidden_state()

    def build():
        unsettle()
        raise RuntimeError("of the builder's")

    with pytest.raises(RuntimeError, match="of the builder's"), Session(0):
        build()
    assert hidden_state() == before


def test_clear_session_inside():
    before = hidden_state()
    with Session(0):
        keras.backend.clear_session()
        unsettle()
        keras.backend.clear_session()
    assert hidden_state() == before
    assert layers.Dense(2).name == "dense_1"


def test_draws_are_those_after_set_random_seed():
    keras.utils.set_random_seed(7)
    expected = draws()
    for _ in range(2):
        draws()
        with Session(7):
            assert draws() == expected


def test_other_seeds_draw_otherwise():
    with Session(1):
        one = draws()
    with Session(2):
        other = draws()
    assert all(a != b for a, b in zip(one, other, strict=True))


def test_entering_again_goes_on():
    with Session(5):
        expected = [draws() for _ in range(3)]
    session = Session(5)
    heard = []
    for _ in range(3):
        with session:
            heard.append(draws())
        draws()
    assert heard == expected


def test_sessions_take_turns():
    def all_of(seed):
        with Session(seed):
            return [draws() for _ in range(3)]

    expected = [all_of(1), all_of(2)]
    sessions = [Session(1), Session(2)]
    heard = [[], []]
    for _ in range(3):
        for i, session in enumerate(sessions):
            with session:
                heard[i].append(draws())
    assert heard == expected


def test_nested():
    before = hidden_state()
    with Session(1):
        expected = draws()
    with Session(1):
        with Session(2):
            unsettle()
        assert draws() == expected
    assert hidden_state() == before


def test_names_are_counted_from_the_start_and_go_on():
    session = Session(0)
    with session:
        assert layers.Dense(1).name == "dense"
    assert layers.Dense(1).name == "dense_1"
    with session:
        assert layers.Dense(1).name == "dense_1"
    assert layers.Dense(1).name == "dense_2"


def test_settings_are_the_callers_at_first_and_its_own_from_then_on():
    keras.config.set_dtype_policy("mixed_bfloat16")
    keras.config.set_epsilon(1e-5)
    session = Session(0)
    with session:
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        assert keras.config.epsilon() == 1e-5
        keras.config.set_dtype_policy("float32")
        keras.config.set_epsilon(1e-4)
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert keras.config.epsilon() == 1e-5
    with session:
        assert keras.config.dtype_policy().name == "float32"
        assert keras.config.epsilon() == 1e-4


def test_custom_objects_of_the_caller_are_known_inside():
    class Mine(layers.Dense):
        pass

    with keras.saving.custom_object_scope({"Mine": Mine}), Session(0):
        assert keras.saving.get_registered_object("Mine") is Mine


def test_without_a_seed_it_draws_on_from_the_callers_numpy():
    keras.utils.set_random_seed(3)
    expected = np.random.rand()  # noqa: NPY002
    keras.utils.set_random_seed(3)
    with Session(None):
        assert np.random.rand() == expected  # noqa: NPY002
    assert np.random.rand() == expected  # noqa: NPY002


def test_draw_uses_and_advances_only_its_numpy_generator():
    with Session(4):
        expected = np.random.rand(2).tolist()  # noqa: NPY002
    session = Session(4)
    with session:
        pass
    before = hidden_state()
    heard = [session.draw(np.random.rand), session.draw(np.random.rand)]
    assert heard == expected
    assert hidden_state() == before
    with pytest.raises(ZeroDivisionError):
        session.draw(lambda: 1 / 0)
    assert hidden_state() == before


def test_a_study_leaves_the_session_alone():
    def build(rate):
        model = keras.Sequential([keras.Input((2,)), layers.Dropout(rate), layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    x = np.ones((8, 2), "float32")
    before = hidden_state()
    for engine in ("lanes", "reference"):
        fl.compare(build, {"rate": [0.1, 0.2]}, x, x[:, :1], seeds=2, engine=engine, verbose=0)
        assert hidden_state() == before


FRESH = """
import json, keras, random, numpy as np
from keras import layers
keras.utils.set_random_seed(11)
x = np.linspace(-1, 1, 60, dtype="float32").reshape(20, 3)
model = keras.Sequential([keras.Input((3,)), layers.Dense(4, "tanh"), layers.Dropout(0.4), layers.Dense(1)])
model.compile("adam", "mse")
first = [w.tolist() for w in model.get_weights()]
history = model.fit(x, x[:, :1], epochs=2, batch_size=7, verbose=0)
names = [layer.name for layer in model.layers]
print(json.dumps([first, history.history["loss"], names, random.random(), np.random.rand()]))
"""


@pytest.mark.slow
def test_a_trial_is_what_a_fresh_process_gives():
    process = _processes.run(
        [sys.executable, "-c", FRESH],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    first, losses, names, python, numpy = json.loads(process.stdout.splitlines()[-1])
    x = np.linspace(-1, 1, 60, dtype="float32").reshape(20, 3)
    made = []

    def build():
        inside = [layers.Dense(4, "tanh"), layers.Dropout(0.4), layers.Dense(1)]
        model = keras.Sequential([keras.Input((3,)), *inside])
        model.compile("adam", "mse")
        made.append(([layer.name for layer in model.layers], [w.tolist() for w in model.get_weights()]))
        return model

    class Last(keras.callbacks.Callback):
        drawn = ()

        def on_train_end(self, logs=None):
            Last.drawn = random.random(), np.random.rand()  # noqa: NPY002

    study = fl.compare(
        build, [{}], x, x[:, :1], seeds=[11], engine="lanes", verbose=0,
        callbacks=lambda: [Last()], epochs=2, batch_size=7,
    )  # fmt: skip
    assert made[-1] == (names, first)
    np.testing.assert_allclose(study.history["loss"], losses, rtol=1e-5)
    assert Last.drawn == (python, numpy)


def test_a_policy_that_keras_has_made_itself_is_not_carried_on():
    """A builder that sets floatx has layers of it, whoever has read the default policy before."""
    keras.config.dtype_policy()
    before = keras.config.floatx()
    try:
        with Session(1):
            keras.config.set_floatx("bfloat16")
            assert keras.layers.Dense(1).dtype == "bfloat16"
        assert keras.config.floatx() == before
        keras.config.set_dtype_policy("mixed_bfloat16")
        with Session(1):
            assert keras.layers.Dense(1).compute_dtype == "bfloat16"
    finally:
        keras.config.set_dtype_policy(before)
