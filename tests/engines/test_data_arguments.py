"""Every data argument of ``Model.fit`` means on lanes what it means to Keras alone.

How Keras cuts and shuffles is not read off its code: a model whose ``train_step`` logs what it was given is
fitted by Keras alone, and the sample numbers that it saw are what `BatchOrder` must give.
"""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers, ops

import fairlane as fl
from _alone import assert_logs_agree, history_of, keras_alone
from fairlane.engines.data.fit_data import FitData
from fairlane.engines.data.orders import BatchOrder
from fairlane.models import keras_private
from fairlane.models.session import Session

RNG = np.random.default_rng(5)
N = 50
X = RNG.normal(size=(N, 4)).astype("float32")
Y = np.tanh(X[:, :1] * X[:, 1:2]).astype("float32")
LABELS = (X[:, 0] > 0).astype("int32")
WEIGHTS = RNG.uniform(0.5, 2, size=N).astype("float32")


def build(learning_rate=0.05, **compiled):
    hidden = layers.Dense(4, activation="tanh")
    model = keras.Sequential([keras.Input((4,)), hidden, layers.Dense(1)])
    model.compile(**{"optimizer": keras.optimizers.SGD(learning_rate), "loss": "mse", **compiled})
    return model


def classify(learning_rate=0.05):
    hidden = layers.Dense(4, activation="tanh")
    model = keras.Sequential([keras.Input((4,)), hidden, layers.Dense(2, activation="softmax")])
    model.compile(
        keras.optimizers.SGD(learning_rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        weighted_metrics=["accuracy"],
    )
    return model


def lanes_and_alone(builder, x, y, **arguments):
    """Two replicates on lanes, each as Keras alone has it."""
    arguments = {"epochs": 2, "batch_size": 16, **arguments}
    study = fl.compare(builder, [{}], x, y, seeds=2, engine="lanes", on_error="raise", verbose=0, **arguments)
    for seed in (0, 1):
        alone = keras_alone(builder, {}, seed, x, y, **arguments)
        assert_logs_agree(history_of(study, seed), alone.logs, what=f"seed {seed}")
    return study


# --- the arguments, one by one ------------------------------------------------------------------------------

HELD_OUT = (X[:18] + 0.5, Y[:18])

ARGUMENTS = {
    "defaults": {},
    "validation_split": {"validation_split": 0.3},
    "validation_data": {"validation_data": HELD_OUT},
    "validation_data with weights": {"validation_data": (*HELD_OUT, WEIGHTS[:18])},
    "validation_data before validation_split": {"validation_data": HELD_OUT, "validation_split": 0.5},
    "validation_freq": {"validation_split": 0.3, "validation_freq": 2, "epochs": 5},
    "validation_freq as a list": {"validation_split": 0.3, "validation_freq": [1, 4], "epochs": 4},
    "validation_batch_size": {"validation_data": HELD_OUT, "validation_batch_size": 5},
    "validation_steps": {"validation_data": HELD_OUT, "validation_batch_size": 5, "validation_steps": 2},
    "steps_per_epoch that divides": {"steps_per_epoch": 5, "batch_size": 5, "epochs": 5},
    "steps_per_epoch that does not": {"steps_per_epoch": 3, "batch_size": 10, "epochs": 6},
    "steps_per_epoch, no shuffle": {"steps_per_epoch": 2, "batch_size": 10, "shuffle": False, "epochs": 4},
    "steps_per_epoch gives the batch size": {"steps_per_epoch": 3, "batch_size": None},
    "steps_per_epoch is all": {"steps_per_epoch": 5, "batch_size": 10, "epochs": 3},
    "no shuffle": {"shuffle": False},
    "shuffle in batches": {"shuffle": "batch", "epochs": 3},
    "shuffle in batches, steps": {"shuffle": "batch", "steps_per_epoch": 3, "epochs": 4},
    "initial_epoch": {"initial_epoch": 2, "epochs": 4},
    "initial_epoch is the last": {"initial_epoch": 3, "epochs": 3},
    "no epoch": {"epochs": 0},
    "sample_weight": {"sample_weight": WEIGHTS},
    "sample_weight and split": {"sample_weight": WEIGHTS, "validation_split": 0.3},
    "no batch_size": {"batch_size": None},
    "batch_size that does not divide": {"batch_size": 7},
    "batch_size that divides": {"batch_size": 25},
    "one batch": {"batch_size": N},
    "batch_size beyond the data": {"batch_size": 1000},
    "batches of one": {"batch_size": 1, "epochs": 1},
}


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # of both: see below
@pytest.mark.parametrize("arguments", ARGUMENTS.values(), ids=ARGUMENTS.keys())
def test_argument(arguments):
    if arguments.get("epochs", 2) > arguments.get("initial_epoch", 0):
        lanes_and_alone(build, X, Y, **arguments)
        return
    study = fl.compare(build, [{}], X, Y, seeds=1, engine="lanes", verbose=0, **arguments)
    assert study.trials["state"].tolist() == ["done"]
    assert study.history.empty
    alone = keras_alone(build, {}, 0, X, Y, **arguments)
    trained = [keras.ops.convert_to_numpy(w) for w in study.model(0).weights]
    for weights, (_, expected) in zip(trained, alone.variables, strict=False):
        np.testing.assert_array_equal(weights, expected)


def test_class_weight():
    lanes_and_alone(classify, X, LABELS, class_weight={0: 0.3, 1: 3.0}, validation_split=0.3)


def test_data_that_run_out_are_told_of_as_by_keras():
    arguments = {"steps_per_epoch": 8, "batch_size": 10, "epochs": 2}
    with pytest.warns(UserWarning, match="ran out of data"):
        lanes_and_alone(build, X, Y, **arguments)
    with pytest.warns(UserWarning, match="ran out of data"):
        fl.compare(build, [{}], X, Y, engine="lanes", verbose=0, **arguments)


def test_validation_data_that_run_out():
    arguments = {"validation_data": HELD_OUT, "validation_steps": 9}
    with pytest.warns(UserWarning, match="ran out of data"):
        lanes_and_alone(build, X, Y, **arguments)


@pytest.mark.parametrize("executions", [2, 3, 8])
def test_steps_per_execution(executions):
    def several():
        return build(steps_per_execution=executions)

    lanes_and_alone(several, X, Y, batch_size=9, validation_split=0.3)


def test_steps_per_execution_and_steps_per_epoch():
    def several():
        return build(steps_per_execution=2)

    lanes_and_alone(several, X, Y, batch_size=8, steps_per_epoch=3, epochs=4)


WHOLE = {"validation_split": 0.3, "batch_size": 5}
"""Whole batches, of training and validation: smaller ones, of which there are enough above, are programs of their own."""

# --- kinds of data --------------------------------------------------------------------------------------------


def jax_arrays():
    return ops.convert_to_tensor(X), ops.convert_to_tensor(Y)


def frames():
    return pd.DataFrame(X, columns=list("abcd")), pd.Series(Y[:, 0], name="y")


KINDS = {
    "float64": lambda: (X.astype("float64"), Y.astype("float64")),
    "float16": lambda: (X.astype("float16"), Y),
    "uint8": lambda: ((X * 40 + 128).astype("uint8"), Y),
    "int64": lambda: ((X * 10).astype("int64"), (Y * 3).astype("int64")),
    "bool": lambda: (X > 0, Y > 0),
    "jax": jax_arrays,
    "pandas": frames,
    "targets of one dimension": lambda: (X, Y[:, 0]),
    "list of one": lambda: ([X], [Y]),
    "tuple of one": lambda: ((X,), (Y,)),
    "fortran order": lambda: (np.asfortranarray(X), Y[::-1]),
}


@pytest.mark.filterwarnings("ignore:The structure of `inputs` doesn't match")  # of a list of one
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_kind_of_data(kind):
    def scaled():
        inputs = keras.Input((4,))
        hidden = layers.Dense(4, activation="tanh")(layers.Rescaling(0.01)(inputs))
        model = keras.Model(inputs, layers.Dense(1)(hidden))
        model.compile(keras.optimizers.SGD(0.05), "mse")
        return model

    x, y = kind()
    lanes_and_alone(scaled, x, y, **WHOLE)


def several(structure):
    a, b = keras.Input((4,), name="a"), keras.Input((1,), name="b")
    both = layers.Concatenate()([layers.Dense(3, activation="tanh")(a), b])
    one, two = layers.Dense(1, name="one")(both), layers.Dense(1, name="two")(both)
    names = {"a": a, "b": b}
    model = (
        keras.Model(names, {"one": one, "two": two}) if structure is dict else keras.Model([a, b], [one, two])
    )
    model.compile(
        keras.optimizers.SGD(0.05), loss={"one": "mse", "two": "mae"} if structure is dict else ["mse", "mae"]
    )
    return model


@pytest.mark.parametrize("structure", [dict, list, tuple])
@pytest.mark.parametrize("weighted", [False, True, "each"])
def test_nested_data(structure, weighted):
    x, y = {"a": X, "b": Y}, {"one": Y, "two": Y**2}
    weight = {"one": WEIGHTS, "two": WEIGHTS[::-1].copy()}
    if structure is not dict:
        x, y, weight = (structure(part.values()) for part in (x, y, weight))
    arguments = {"sample_weight": WEIGHTS if weighted is True else weight} if weighted else {}
    if weighted != "each":
        arguments |= WHOLE
    lanes_and_alone(lambda: several(structure), x, y, **{"validation_split": 0.3, **arguments})


class Itself(keras.layers.Layer):
    def call(self, x):
        self.add_loss(ops.mean(ops.square(x)))
        return x


def test_no_targets():
    def without():
        model = keras.Sequential([keras.Input((4,)), layers.Dense(2, activation="tanh"), Itself()])
        model.compile(keras.optimizers.SGD(0.05))
        return model

    lanes_and_alone(without, X, None, **WHOLE)


# --- what Keras really does ------------------------------------------------------------------------------------


class Spy(keras.Model):
    """Logs the samples of each batch, which are numbers, as one integer array."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, x):
        return self.dense(x)

    def train_step(self, state, data):
        return {"seen": data[0][:, 0]}, state


class Watch(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append([])

    def on_train_batch_end(self, batch, logs=None):
        self.epochs[-1].append(np.asarray(logs["seen"]).astype(int).tolist())


def spied(seed, numbers, built, **arguments):
    """The batches of every epoch that Keras's ``fit`` trains on."""
    watch = Watch()
    keras.utils.set_random_seed(seed)
    model = Spy()
    model.compile("sgd", "mse", jit_compile=False)
    if built:  # then `fit` has nothing to build, and draws nothing for it
        model.fit(numbers[:2], numbers[:2], epochs=0, verbose=0)
        keras.utils.set_random_seed(seed)
    model.fit(numbers, numbers, callbacks=[watch], verbose=0, **arguments)
    return watch.epochs


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    n=st.integers(5, 60),
    batch_size=st.none() | st.integers(1, 70),
    split=st.sampled_from([0.0, 0.2, 0.5]),
    shuffle=st.sampled_from([True, False, "batch"]),
    steps=st.none() | st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
    built=st.booleans(),
)
def test_order_is_that_of_fit(n, batch_size, split, shuffle, steps, seed, built):
    arguments = {
        "batch_size": batch_size,
        "validation_split": split,
        "shuffle": shuffle,
        "steps_per_epoch": steps,
    }
    numbers = np.arange(n, dtype="float32")[:, None]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Your input ran out of data")
        expected = spied(seed, numbers, built, epochs=3, validation_freq=9, **arguments)
        data = FitData.of({"x": numbers, "y": numbers, **arguments})
        session = Session(seed)
        with session:
            model = Spy()
            model.compile("sgd", "mse")
            if built:
                model.fit(numbers[:2], numbers[:2], epochs=0, verbose=0)
                keras.utils.set_random_seed(seed)
            keras_private.symbolic_build(model, data.training.iterator(1))
        order = BatchOrder(data.training, session)
        runs = [order.next_epoch().runs for _ in range(3)]
    drawn = [[batch.tolist() for run in epoch for batch in run] for epoch in runs]
    assert drawn == expected
    for epoch in runs:
        for run in epoch:
            assert run.dtype == np.int32


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 60), batch_size=st.none() | st.integers(1, 70), steps=st.none() | st.integers(1, 9))
def test_validation_goes_through_the_data_in_order(n, batch_size, steps):
    numbers = np.arange(n, dtype="float32")[:, None]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Your input ran out of data")
        data = FitData.of(
            {
                "x": numbers,
                "validation_data": (numbers, numbers),
                "validation_batch_size": batch_size,
                "validation_steps": steps,
            }
        )
        runs = data.validation.runs(1)
    batch = batch_size or (-(-n // steps) if steps else 32)
    seen = [i for first, steps_, size in runs for i in range(first, first + steps_ * size)]
    assert seen == list(range(min(n, batch * steps) if steps else n))
    assert all(size == batch for _, _, size in runs[:-1])


def test_data_are_those_of_keras():
    data = FitData.of({"x": X.astype("float64"), "y": Y, "validation_split": 0.3, "batch_size": 8})
    x, y = data.training.arrays
    assert x.dtype == "float32"
    assert (data.training.samples, data.validation.samples) == (35, 15)
    np.testing.assert_array_equal(x, X[:35])
    np.testing.assert_array_equal(data.validation.arrays[1], Y[35:])
    np.testing.assert_array_equal(y, Y[:35])


@pytest.mark.parametrize(
    "wrong",
    [
        {"y": Y[:-1]},
        {"sample_weight": WEIGHTS[:-1]},
        {"class_weight": {0: 1.0}, "sample_weight": WEIGHTS},
    ],
)
def test_wrong_data_raise_what_keras_raises(wrong):
    arguments = {"x": X, "y": Y, **wrong}
    with pytest.raises(ValueError) as alone:  # noqa: PT011
        build().fit(**arguments, verbose=0)
    with pytest.raises(ValueError) as lanes:  # noqa: PT011
        FitData.of(arguments)
    assert str(lanes.value) == str(alone.value)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("batch_size", [np.int64(300)] * 3),
        ("batch_size", [int("300"), int("300"), np.int32(300)]),
        ("class_weight", [{0: 1.0, 1: 2.5}, {0: 1.0, 1: 2.5}, dict({0: 1.0}, **{}) | {1: 2.5}]),
        ("validation_freq", [[1, 300], [1, int("300")], [1, 300]]),
    ],
)
def test_equal_arguments_of_several_variants_are_one(monkeypatch, name, values):
    """However they are written: one fleet, and the data are taken apart and placed once."""
    from fairlane.engines.data import fit_data

    placed = []
    real = fit_data.FitData.of.__func__
    monkeypatch.setattr(
        fit_data.FitData, "of", classmethod(lambda cls, *given: placed.append(1) or real(cls, *given))
    )

    def build(lr):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, "sigmoid")])
        model.compile(keras.optimizers.SGD(lr), "binary_crossentropy")
        return model

    x, y = np.ones((600, 2), "float32"), np.arange(600)[:, None] % 2
    variants = [{"lr": 0.1 * (i + 1), name: value} for i, value in enumerate(values)]
    more = {"validation_data": (x[:10], y[:10])} if name == "validation_freq" else {}
    study = fl.compare(build, variants, x, y, epochs=1, verbose=0, engine="lanes", **more)
    assert study.trials["state"].tolist() == ["done"] * 3
    assert len(placed) == 1
    assert study.trials["fleet"].nunique() == 1
