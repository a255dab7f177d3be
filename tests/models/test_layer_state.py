"""Layers whose state is more than their variables come back the same, whichever way a model comes back.

One table: layers × ways. Each builder adapts its layers to a sample that it draws, so that the state differs
between the trials of one variant; what comes back is compared in predictions with Keras alone.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cloudpickle
import keras
import numpy as np
import pytest
from keras import layers

import fairlane as fl
from fairlane.errors import StudyError
from fairlane.models import layer_state
from fairlane.models.recipes.description import description, model_of, write_weights
from fairlane.models.recipes.portable import PortableRecipe
from fairlane.models.variables import weights_of
from fairlane.store import coding
from fairlane.trials import State

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
    made = pickle.loads(cloudpickle.dumps(PortableRecipe.of(model))).make()
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
        for state in layer_state.read_layers(model)
        if state["class"] not in ("Subclassed",)  # which is told anew where it is made
    ]
    again = [
        {name: value for name, value in state.items() if name != "layer"}
        for state in layer_state.read_layers(new)
        if state["class"] not in ("Subclassed",)
    ]
    assert repr(again) == repr(told)
    drawn = [i for i, variable in enumerate(model.trainable_variables) if np.ndim(variable) == 2]
    assert drawn
    for i in drawn:
        before, after = (np.array(m.trainable_variables[i]) for m in (model, new))
        assert not np.array_equal(before, after)


# --- what is refused ---


def states_of(kind):
    model = build(kind)
    return model, layer_state.read_layers(model)


def arrays_of(model):
    return State(model.trainable_variables, model.non_trainable_variables, [], [])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"at": 99}, "is of a model with other layers"),
        ({"at": None}, "is of a model with other layers"),
        ({"class": "Dense"}, "is of a model with other layers"),
        ({"assets": {"../../x": np.zeros(1, np.uint8)}}, "lies outside its folder"),
        ({"assets": {"/etc/x": np.zeros(1, np.uint8)}}, "lies outside its folder"),
        ({"assets": {"a\\..\\x": np.zeros(1, np.uint8)}}, "lies outside its folder"),
        ({"assets": {"more/bounds.txt": np.zeros(1, np.uint8)}}, r"layer 'with_files.*does not accept"),
        ({"own": {"0": {"variable": ["trainable", 99]}}}, "names a variable that does not exist"),
        ({"why": "ValueError: no"}, "could not report what it holds besides its variables .ValueError: no"),
        ({"attributes": {"x": {"pickle": b""}}}, "holds a 'pickle'"),
    ],
)
def test_what_was_not_told_here_is_refused(change, words):
    model, states = states_of("assets")
    (state,) = states
    with pytest.raises(StudyError, match=words):
        layer_state.write_layers(model, [{**state, **change}], arrays_of(model))


@pytest.mark.parametrize(
    "name", ["call", "build", "variables", "_path", "trainable", "not a name", "__class__"]
)
def test_what_a_class_or_keras_defines_is_not_hidden_by_an_attribute(name):
    model, _ = states_of("attributes")
    layer = model.layers[0]
    before = {key: value for key, value in vars(layer).items() if key != "other"}
    layer_state.write_layer(layer, {"attributes": {name: 1, "other": 2}})
    assert layer.other == 2
    assert {key: value for key, value in vars(layer).items() if key != "other"} == before
    assert type(layer) is Plain


def test_a_layer_that_can_not_tell_trains_and_says_so_when_it_is_asked_for():
    class Mute(layers.Layer):
        def call(self, x):
            return x

        def save_own_variables(self, store):
            raise ValueError("no words")

    def mute():
        model = sequential(Mute())
        model.compile("sgd", "mse")
        return model

    study = fl.compare(mute, [{}], X, Y, verbose=0, **FIT)
    assert study.trials["state"].tolist() == ["done"]
    with pytest.raises(
        StudyError, match=r"trial 0 .*layer 'mute' .Mute. could not report .*no words.*correct its save_own"
    ):
        study.model(0)


def test_what_versions_before_did_not_tell_is_computed_from_the_variables():
    model, found = alone("Normalization")
    older = replace(weights_of(model), layers=None)
    again = model_of(description(model))
    write_weights(again, older, "a trial")
    np.testing.assert_allclose(again.predict(X, verbose=0), found, rtol=1e-5)
    with_none = coding.weights_of_tree(coding.weights_to_tree(older))
    assert with_none.layers is None
    with pytest.raises(fl.StoreError, match="does not hold the state of a model's layers"):
        coding.weights_of_tree({**coding.weights_to_tree(older), "layers": 3})


def test_layers_of_kerass_own_that_adapt_to_nothing_tell_nothing():
    inputs = keras.Input((8, 8, 1))
    x = layers.Dropout(0.5)(layers.BatchNormalization()(layers.Conv2D(2, 3)(inputs)))
    x = layers.Dense(2)(layers.Flatten()(x)) + 1.0
    assert layer_state.read_layers(keras.Model(inputs, layers.Rescaling(0.5)(x))) == []


# --- names ---


def test_models_of_studies_can_stand_in_one_keras_model(tmp_path):
    def plain():
        model = keras.Sequential([keras.Input((3,)), layers.Dense(1)], name="member")
        model.compile("sgd", "mse")
        return model

    studies = [fl.compare(plain, [{}], X, Y, seeds=2, verbose=0, **FIT) for _ in range(2)]
    fl.compare(plain, [{}], X, Y, seeds=2, verbose=0, store=tmp_path / "runs.db", name="a", **FIT)
    studies.append(fl.open(tmp_path / "runs.db", "a"))
    members = [study.model(number) for study in studies for number in (0, 1, 1)]
    members += [fl.copy(members[0]), fl.copy(members[0]), fl.fresh(members[0]), fl.copy(fl.copy(members[0]))]
    names = [member.name for member in members]
    assert len(set(names)) == len(names)
    assert all(name.startswith(("member_trial_0", "member_trial_1")) for name in names)
    assert names[-4].startswith(f"{names[0]}_copy")
    assert names[-1].startswith(f"{names[0]}_copy")
    assert "copy_copy" not in names[-1]
    assert names[-2].startswith(f"{names[0]}_fresh")
    inputs = keras.Input((3,))
    whole = keras.Model(inputs, layers.Average()([member(inputs) for member in members]))
    mean = np.mean([member.predict(X, verbose=0) for member in members], axis=0)
    whole.save(tmp_path / "whole.keras")
    for model in (whole, keras.saving.load_model(tmp_path / "whole.keras")):
        np.testing.assert_allclose(model.predict(X, verbose=0), mean, rtol=1e-5)
    whole.compile("sgd", "mse")
    whole.fit(X, Y, verbose=0)


# --- other backends ---

LOOKUPS = """
import sys, numpy as np, keras, tensorflow as tf, fairlane as fl
from keras import layers
x = np.random.default_rng(0).integers(0, 30, (32, 3))
y, words = x.sum(axis=1, keepdims=True).astype("float32"), x.astype(str)
lines = np.array([" ".join(row) for row in words])
KINDS = {
    "integers": (x, (3,), "int64", lambda: layers.IntegerLookup(output_mode="multi_hot")),
    "words": (tf.constant(words), (3,), "string", lambda: layers.StringLookup(output_mode="multi_hot")),
    "lines": (tf.constant(lines), (), "string", lambda: layers.TextVectorization(output_mode="tf_idf")),
    "hashes": (x, (3,), "int64", lambda: layers.Hashing(8, output_mode="multi_hot")),
    "bins": (x.astype("float32"), (3,), "float32", lambda: layers.Discretization(num_bins=4, output_mode="multi_hot")),
}
for kind, (data, shape, dtype, layer) in KINDS.items():
    def build():
        first = layer()
        if hasattr(first, "adapt"):
            first.adapt(np.asarray(data)[np.random.permutation(32)[:9]])
        model = keras.Sequential([keras.Input(shape, dtype=dtype), first, layers.Flatten(), layers.Dense(1)])
        model.compile("adam", "mse")
        return model
    keras.utils.set_random_seed(1)
    model = build()
    model.fit(data, y, verbose=0)
    expected = model.predict(data, verbose=0)
    study = fl.compare(build, [{}], data, y, seeds=2, verbose=0, store=sys.argv[1], name=kind)
    kept = fl.open(sys.argv[1], kind)
    kept.save(1, sys.argv[1] + kind + ".keras")
    loaded = keras.saving.load_model(sys.argv[1] + kind + ".keras")
    for other in (study.model(1), kept.model(1), fl.copy(model), fl.copy(kept.model(1)), loaded):
        np.testing.assert_allclose(other.predict(data, verbose=0), expected, rtol=1e-4, atol=1e-5)
    print(kind)
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="pip install 'fairlane[backends]'")
def test_lookups_come_back_on_tensorflow(tmp_path):
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-W", "ignore", "-c", LOOKUPS, str(tmp_path / "runs.db")]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert ran.stdout.split() == ["integers", "words", "lines", "hashes", "bins"], ran.stderr[-3000:]
