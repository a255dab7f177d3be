"""A study in a store and another request for it: never an old result for what may be another question."""

import functools
import itertools
import re

import jax
import keras
import numpy as np
import pytest

import fairlane as fl

X, Y = np.ones((16, 2), "float32"), np.ones((16, 1), "float32")
TRAINED = []


class Noting(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        TRAINED.append(1)


class Rate:
    def __init__(self, rate):
        self.rate = rate

    def __call__(self):
        return self.rate

    def method(self):
        return self.rate


class Handle:
    """Can't be read, and does not say what it is."""

    def __init__(self, rate):
        self.rates = itertools.repeat(rate)
        self.lines = (line for line in "a")

    def __call__(self):
        return next(self.rates)


def build(held=None):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(held() if callable(held) else 0.1), "mse")
    return model


def compare(store, values, **changes):
    TRAINED.clear()
    given = {
        "epochs": 1,
        "verbose": 0,
        "callbacks": lambda: [Noting()],
        "store": store,
        "name": "a",
        **changes,
    }
    if store is None:
        given |= {"store": None, "name": None}
    return fl.compare(
        changes.pop("model", build),
        {"held": values},
        X,
        Y,
        **{k: v for k, v in given.items() if k != "model"},
    )


MAKERS = {
    "object": Rate,
    "bound method": lambda rate: Rate(rate).method,
    "partial of an object": lambda rate: functools.partial(Rate(rate)),
    "object in a dict": lambda rate: {"a": [Rate(rate)]},
}


@pytest.mark.parametrize("kind", MAKERS)
def test_another_object_is_another_trial(tmp_path, kind):
    make = MAKERS[kind]
    compare(tmp_path / "runs.db", [make(0.01)])
    assert len(compare(tmp_path / "runs.db", [make(0.01)]).trials) == 1
    assert not TRAINED  # the same, found again
    study = compare(tmp_path / "runs.db", [make(0.5)])
    assert TRAINED == [1]
    assert study.trials["state"].tolist() == ["done"] * 2


@pytest.mark.parametrize("stored", [False, True])
def test_objects_of_different_states_are_variants_of_one_study(tmp_path, stored):
    study = compare(tmp_path / "runs.db" if stored else None, [Rate(0.01), Rate(0.5)])
    assert study.trials["state"].tolist() == ["done"] * 2
    assert len(TRAINED) == 2


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize(
    "values",
    [
        [float("nan"), float("nan")],
        [np.float64("nan"), float("nan")],
        [Rate(1.0), Rate(1.0)],
        [(float("nan"), 1), (float("nan"), 1)],
        [0.1, np.float64(0.1)],
        [np.arange(3), np.arange(3)],
    ],
)
def test_two_values_of_one_state_are_refused_before_any_training(tmp_path, values, stored):
    store = tmp_path / "runs.db" if stored else None
    with pytest.raises(fl.StudyError, match=r"'held' has the value .* twice.*two variants; .* use seeds"):
        compare(store, values)
    with pytest.raises(fl.StudyError, match=r"variants 0 and 1 are the same"):
        fl.compare(build, [{"held": value} for value in values], X, Y, verbose=0, store=store, name="a")
    assert not list(tmp_path.iterdir())
    assert compare(store, values[:1]).trials["state"].tolist() == ["done"]


def test_the_order_of_names_makes_no_variant(tmp_path):
    def named(held=1, other=2):
        return build()

    variants = [{"held": 1, "other": 2}, {"other": 2, "held": 1}]
    with pytest.raises(fl.StudyError, match="variants 0 and 1 are the same"):
        fl.compare(named, variants, X, Y, store=tmp_path / "runs.db", name="a", verbose=0)


def test_values_that_can_not_be_read(tmp_path):
    both = [Handle(0.01), Handle(0.5)]
    assert compare(None, both).trials["state"].tolist() == ["done"] * 2
    store = tmp_path / "runs.db"
    with pytest.raises(fl.StudyError, match=r"variants 0 .* and 1 .* can't be distinguished.*__repr__"):
        compare(store, both)
    compare(store, both[:1])
    words = r"has a variant with held=.* already, and it is not known .*generator.*__repr__.*name; .*force"
    with pytest.raises(fl.StudyError, match=words):
        compare(store, both[1:])
    assert not TRAINED
    assert compare(store, both[:1], resume="force").trials["state"].tolist() == ["done"]
    assert not TRAINED


def test_a_builder_that_can_not_be_read(tmp_path):
    def other(held, handle=Handle(0.1)):  # noqa: B008
        return build()

    store = tmp_path / "runs.db"
    compare(store, [1.0], model=other)
    with pytest.raises(fl.StudyError, match=r"it is not known whether(?s:.*)generator(?s:.*)resume='force'"):
        compare(store, [2.0], model=other)
    assert compare(store, [2.0], model=other, resume="force").trials["state"].tolist() == ["done"] * 2


SETTINGS = {
    "keras.config.dtype_policy": (keras.config.set_dtype_policy, "mixed_bfloat16", "float32"),
    "keras.config.floatx": (keras.config.set_floatx, "float16", "float32"),
    "keras.config.epsilon": (keras.config.set_epsilon, 1e-3, 1e-7),
    "keras.config.image_data_format": (
        keras.config.set_image_data_format,
        "channels_first",
        "channels_last",
    ),
    "keras.config.max_steps_per_epoch": (keras.config.set_max_steps_per_epoch, 1, None),
    "jax_threefry_partitionable": (
        functools.partial(jax.config.update, "jax_threefry_partitionable"),
        False,
        True,
    ),
    "jax_default_matmul_precision": (
        functools.partial(jax.config.update, "jax_default_matmul_precision"),
        "highest",
        None,
    ),
    "jax_enable_x64": (functools.partial(jax.config.update, "jax_enable_x64"), True, False),
}


@pytest.mark.filterwarnings("ignore:Limiting steps_per_epoch")
@pytest.mark.parametrize("name", SETTINGS)
def test_another_setting_of_the_session_is_refused_and_named(tmp_path, name):
    change, now, then = SETTINGS[name]
    compare(tmp_path / "runs.db", [0.1])
    change(now)
    try:
        for request in ({"values": [0.1, 0.2]}, {"values": [0.1], "epochs": 3}):
            with pytest.raises(
                fl.StudyError, match=rf"{re.escape(name)} was {then} and is {now} now; .*{then}"
            ):
                compare(tmp_path / "runs.db", **request)
        assert not TRAINED
    finally:
        change(then)
    assert fl.open(tmp_path / "runs.db", "a").trials["epochs"].tolist() == [1]
    assert len(compare(tmp_path / "runs.db", [0.1, 0.2]).trials) == 2


def test_force_goes_on_under_another_setting(tmp_path):
    compare(tmp_path / "runs.db", [0.1])
    keras.config.set_epsilon(1e-3)
    try:
        study = compare(tmp_path / "runs.db", [0.1, 0.2], resume="force")
        assert study.trials["state"].tolist() == ["done"] * 2
        compare(tmp_path / "runs.db", [0.1, 0.2])
    finally:
        keras.config.set_epsilon(1e-7)
    with pytest.raises(fl.StudyError, match=r"was 0\.001 and is 1e-07 now"):
        compare(tmp_path / "runs.db", [0.1])
