"""Layers whose state is more than their variables come back the same, whichever way a model comes back.

One table: layers × ways. Each builder adapts its layers to a sample that it draws, so that the state differs
between the trials of one variant; what comes back is compared in predictions with Keras alone.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cloudpickle
import keras
import numpy as np
import pytest
from keras import layers

import fairlane as fl
from fairlane import layer_state
from fairlane.worker.recipe import Recipe

X = np.random.default_rng(0).normal(5.0, 3.0, (32, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)
FIT: dict[str, Any] = {"epochs": 2, "batch_size": 8}
SEED = 1


def sample():
    """What a builder adapts to: another in each trial."""
    return X[np.random.permutation(len(X))[:9]]  # noqa: NPY002


@keras.saving.register_keras_serializable("tests")
class Hooked(layers.Layer):
    """Keeps what it adapted in an attribute, and writes and reads it by Keras's hooks."""

    def __init__(self, **named):
        super().__init__(**named)
        self.shift = np.float32(0)

    def adapt(self, x):
        self.shift = np.float32(x.mean())

    def call(self, x):
        return x - self.shift

    def save_own_variables(self, store):
        store["shift"] = np.array(self.shift)

    def load_own_variables(self, store):
        self.shift = np.float32(np.array(store["shift"]))


@keras.saving.register_keras_serializable("tests")
class Finalized(layers.Layer):
    """As `Normalization`: variables, and a constant that is made of them."""

    def build(self, shape):
        self.total = self.add_weight(shape=(shape[-1],), initializer="zeros", trainable=False)
        self.scale = self.add_weight(shape=(), initializer="ones")
        self.finalize_state()

    def adapt(self, x):
        if not self.built:
            self.build(x.shape)
            self.built = True
        self.total.assign(x.sum(axis=0))
        self.finalize_state()

    def finalize_state(self):
        self.mean = keras.ops.convert_to_tensor(np.array(self.total) / 9)

    def call(self, x):
        return self.scale * (x - self.mean)

    def load_own_variables(self, store):
        super().load_own_variables(store)
        self.finalize_state()


@keras.saving.register_keras_serializable("tests")
class Plain(layers.Layer):
    """Knows none of Keras's hooks."""

    def __init__(self, **named):
        super().__init__(**named)
        self.factor, self.words = 1.0, ["a"]
        self.table = {"mean": np.zeros(3), "pair": (1.0, 1)}

    def adapt(self, x):
        self.table = {"mean": x.mean(axis=0), "pair": (float(x.max()), 1)}

    def call(self, x):
        return self.factor * (x - self.table["mean"]) / self.table["pair"][0]


@dataclass
class Bounds:
    """No plain data."""

    low: float
    high: float


@keras.saving.register_keras_serializable("tests")
class WithFiles(layers.Layer):
    """Writes a vocabulary into files, as lookups do, and knows of no plain attribute."""

    def __init__(self, **named):
        super().__init__(**named)
        self._bounds = Bounds(0.0, 1.0)

    def adapt(self, x):
        self._bounds = Bounds(*map(float, np.quantile(x, [0.25, 0.75])))

    def call(self, x):
        return keras.ops.clip(x, self._bounds.low, self._bounds.high)

    def save_assets(self, folder):
        Path(folder, "more").mkdir()
        Path(folder, "more", "bounds.txt").write_text(json.dumps(vars(self._bounds)))

    def load_assets(self, folder):
        self._bounds = Bounds(**json.loads(Path(folder, "more", "bounds.txt").read_text()))


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    """A model that is no graph, with a layer that adapts, and state of its own."""

    def __init__(self, **named):
        super().__init__(**named)
        self.normalization, self.out = layers.Normalization(), layers.Dense(1)
        self.temperature = 1.0

    def call(self, x):
        return self.temperature * self.out(self.normalization(x))


def adapted(layer):
    layer.adapt(sample())
    return layer


def sequential(*first):
    return keras.Sequential([keras.Input((3,)), *first, layers.Dense(4, "tanh"), layers.Dense(1)])


def nested():
    inner = keras.Sequential([keras.Input((3,)), adapted(layers.Normalization()), layers.Dense(3)])
    inputs = keras.Input((3,))
    return keras.Model(inputs, layers.Dense(1)(layers.Dropout(0.2)(inner(inputs))))


def wrapped():
    layer = layers.TimeDistributed(adapted(layers.Normalization()))
    return sequential(layers.Reshape((1, 3)), layer, layers.Flatten())


def set_by_the_builder():
    layer = adapted(Plain())
    layer.factor = float(np.random.uniform(2, 3))  # noqa: NPY002
    return sequential(layer)


def subclassed():
    model = Subclassed()
    model.normalization.adapt(sample())
    model.temperature = float(np.random.uniform(2, 3))  # noqa: NPY002
    return model


MODELS = {
    "Normalization": lambda: sequential(adapted(layers.Normalization())),
    "Normalization with constants": lambda: sequential(layers.Normalization(mean=5.0, variance=9.0)),
    "nested": nested,
    "wrapped": wrapped,
    "hooks": lambda: sequential(adapted(Hooked())),
    "finalize_state": lambda: sequential(adapted(Finalized())),
    "attributes": set_by_the_builder,
    "assets": lambda: sequential(adapted(WithFiles())),
    "subclassed": subclassed,
}


def build(kind="Normalization", learning_rate=0.01):
    model = MODELS[kind]()
    model.compile(keras.optimizers.Adam(learning_rate), "mse")
    return model


@cache
def alone(kind):
    """The trial's model, by Keras alone; and its predictions."""
    keras.utils.set_random_seed(SEED)
    model = build(kind)
    model.fit(X, Y, verbose=0, **FIT)
    return model, model.predict(X, verbose=0)


def compared(kind, **more):
    variants = {"kind": [kind], "learning_rate": more.pop("rates", [0.01])}
    return fl.compare(build, variants, X, Y, seeds=more.pop("seeds", [0, SEED]), verbose=0, **FIT, **more)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Kind → a store with its study."""

    @cache
    def made(kind):
        runs = str(tmp_path_factory.mktemp("runs") / "runs.db")
        compared(kind, store=runs, name="a")
        return runs

    return made


def in_memory(kind, stored, tmp_path):
    return compared(kind).model(1)


def opened(kind, stored, tmp_path):
    return fl.open(stored(kind), "a").model(1)


def opened_with_the_builder(kind, stored, tmp_path):
    return fl.open(stored(kind), "a", build=build).model(1)


def gone_on_with(kind, stored, tmp_path):
    """A trial that is not asked for this time."""
    return compared(kind, seeds=[0], store=stored(kind), name="a").model(1)


def saved_and_loaded(kind, stored, tmp_path):
    if kind in ("attributes", "subclassed"):
        pytest.skip("Keras's files do not hold attributes")
    fl.open(stored(kind), "a").save(1, tmp_path / "a.keras")
    return keras.saving.load_model(tmp_path / "a.keras")


def copied(kind, stored, tmp_path):
    return fl.copy(alone(kind)[0])


def copied_twice(kind, stored, tmp_path):
    return fl.copy(fl.copy(fl.open(stored(kind), "a").model(1)))


def through_a_recipe(kind, stored, tmp_path):
    model = alone(kind)[0]
    made = pickle.loads(cloudpickle.dumps(Recipe.of(model))).make()
    made(X[:1])
    for new, old in zip(made.variables, model.variables, strict=True):
        new.assign(np.array(old))
    return made


def from_a_checkpoint(kind, stored, tmp_path):
    """A trial that goes on for more epochs, opened afterwards."""
    runs, half = str(tmp_path / "runs.db"), {**FIT, "epochs": 1}
    for fit in (half, FIT):
        fl.compare(build, {"kind": [kind]}, X, Y, seeds=[SEED], verbose=0, store=runs, name="a", **fit)
    return fl.open(runs, "a").model(0)


WAYS = (
    in_memory,
    opened,
    opened_with_the_builder,
    gone_on_with,
    saved_and_loaded,
    copied,
    copied_twice,
    through_a_recipe,
    from_a_checkpoint,
)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("kind", MODELS)
def test_a_model_comes_back_as_keras_alone_trained_it(kind, way, stored, tmp_path):
    found = way(kind, stored, tmp_path).predict(X, verbose=0)
    np.testing.assert_allclose(found, alone(kind)[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", MODELS)
def test_a_fresh_model_keeps_what_was_adapted_and_draws_the_rest(kind):
    model = alone(kind)[0]
    new = fl.fresh(model, seed=3)
    if not new.built:
        new(X[:1])
    told = [
        {name: value for name, value in state.items() if name != "layer"}
        for state in layer_state.told(model)
        if state["class"] not in ("Subclassed",)  # which is told anew where it is made
    ]
    again = [
        {name: value for name, value in state.items() if name != "layer"}
        for state in layer_state.told(new)
        if state["class"] not in ("Subclassed",)
    ]
    assert repr(again) == repr(told)
    drawn = [i for i, variable in enumerate(model.trainable_variables) if np.ndim(variable) == 2]
    assert drawn
    for i in drawn:
        before, after = (np.array(m.trainable_variables[i]) for m in (model, new))
        assert not np.array_equal(before, after)
