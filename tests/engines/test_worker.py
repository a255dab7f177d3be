"""Sessions on other backends: lanes in a worker process; and the parts that it is made of."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import sys
from pathlib import Path

import cloudpickle
import keras
import numpy as np
import pytest

import _processes
import fairlane as fl
from _alone import assert_logs_agree
from _processes import SHARED, eventually, lives, segments
from _trial import X, Y, build
from fairlane.engines.workers import parcel, process
from fairlane.engines.workers.engine import WorkersEngine
from fairlane.engines.workers.main import foreign_in, unwrapped
from fairlane.engines.workers.parcel import Segments
from fairlane.models.recipes.portable import PortableRecipe
from fairlane.running import choosing

HERE = Path(__file__).parents[1]


def environment(backend, **more):
    path = os.pathsep.join([str(Path(fl.__file__).parents[1]), str(HERE)])
    return {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", **more}


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_a_session(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install 'fairlane[backends]'")
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    before = segments()
    ran = _processes.run(
        [sys.executable, HERE / "_worker_session.py"],
        env=environment(backend, **cache),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == -9, ran.stderr  # it ends itself so, in the midst of a study
    *stray, results, pid = ran.stdout.splitlines()
    assert stray == []
    failed = {name: told for name, told in json.loads(results).items() if told}
    assert not failed, "\n\n".join(f"{name}\n{told}" for name, told in failed.items()) + ran.stderr
    assert eventually(lambda: not lives(int(pid))), "the worker has outlived its session"
    assert eventually(lambda: segments() <= before), "shared memory has outlived its session"


def test_a_session_on_jax_loads_nothing_of_it():
    code = (
        "import sys, keras, numpy as np, fairlane as fl\n"
        "m = keras.Sequential([keras.layers.Dense(1)]); m.compile('sgd', 'mse')\n"
        "fl.fit([m], np.ones((4, 2)), np.ones((4, 1)), verbose=0)\n"
        "print([name for name in sys.modules if 'fairlane.engines.workers.engine' in name])\n"
        "print('multiprocessing.shared_memory' in sys.modules)\n"
    )
    ran = _processes.run(
        [sys.executable, "-c", code], env=environment("jax"), capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["[]", "False"]


# --- no worker to be had --------------------------------------------------------------------------------


def test_without_a_worker_the_reference_says_why(monkeypatch):
    monkeypatch.setattr(choosing, "lanes", WorkersEngine)
    monkeypatch.setattr(process.sys, "executable", "/nowhere/python")
    monkeypatch.setattr(process, "_idle", [])
    study = fl.compare(build, [{"lr": 0.1}, {"lr": 0.2}], X, Y, epochs=1, verbose=0)
    assert study.trials["engine"].tolist() == ["reference", "reference"]
    for reason in study.trials["reason"]:
        assert reason.startswith("there is no worker process to train it on JAX: it can't be started with")
    with pytest.raises(fl.LanesError, match="no worker process to train it on JAX"):
        fl.compare(build, [{}], X, Y, epochs=1, verbose=0, engine="lanes")


def test_a_worker_that_can_not_start_says_its_last_words(monkeypatch):
    monkeypatch.setattr(choosing, "lanes", WorkersEngine)
    monkeypatch.setattr(process, "_BOOT", "raise SystemExit('no JAX here')")
    monkeypatch.setattr(process, "_idle", [])
    study = fl.compare(build, [{}], X, Y, epochs=1, verbose=0)
    assert study.trials["reason"].tolist() == [
        "there is no worker process to train it on JAX: it ended with exit code 1: no JAX here"
    ]
    assert study.trials["state"].tolist() == ["done"]


def test_a_changed_module_is_seen(tmp_path, monkeypatch):
    (tmp_path / "builders_of_mine.py").write_text("A = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("builders_of_mine")
    before = process.user_modules()
    file = str(tmp_path / "builders_of_mine.py")
    assert file in before
    assert not process.changed(before)
    os.utime(file, ns=(1, 1))
    assert process.changed(before)
    assert not any(np.__file__ == known for known in before)


# --- parcels --------------------------------------------------------------------------------------------


@pytest.fixture
def made():
    segments = Segments()
    yield segments
    segments.close()


@pytest.fixture(params=["shared", "inline"])
def room(request, monkeypatch):
    if request.param == "inline":
        usage = type("Usage", (), {"free": 0})
        monkeypatch.setattr(parcel.shutil, "disk_usage", lambda path: usage)
        monkeypatch.setattr(parcel, "_FOLDER", HERE)
    return request.param


def test_a_parcel_brings_arrays_and_functions(made, room):
    arrays = [np.arange(7.0), np.zeros((0, 3)), np.asfortranarray(np.arange(6).reshape(2, 3))]
    packed = made.pack(
        {"arrays": arrays, "twice": arrays[0], "f": lambda v: v + 1, "strings": np.array(["a"])}
    )
    assert (packed.segment is not None) == (room == "shared")
    opened = pickle.loads(pickle.dumps(packed)).open()
    for a, b in zip(opened["arrays"], arrays, strict=True):
        np.testing.assert_array_equal(a, b)
    assert opened["twice"] is opened["arrays"][0]
    assert opened["f"](1) == 2
    opened["twice"][0] = 5.0  # a copy, and writable
    assert arrays[0][0] == 0.0
    made.release(packed)
    made.release(packed)


def test_slots_are_written_and_read(made, room):
    arrays = [np.float32(3), np.arange(4, dtype="uint32"), np.zeros((0,)), np.ones((2, 2), "float64")]
    slots = made.slots(arrays)
    there = pickle.loads(pickle.dumps(slots))
    for a, b in zip(there.read(), arrays, strict=True):
        np.testing.assert_array_equal(a, b)
    back = pickle.loads(pickle.dumps(there.write([np.asarray(a) + 1 for a in arrays])))
    for a, b in zip(made.read(back), arrays, strict=True):
        np.testing.assert_array_equal(a, b + 1)
        assert a.dtype == np.asarray(b).dtype
    with pytest.raises(ValueError, match="argument"):
        slots.write(arrays[:-1])


def test_segments_are_unlinked(made):
    before = segments()
    made.pack(np.ones(100))
    made.slots([np.ones(100)])
    if SHARED.is_dir():
        assert len(segments() - before) == 2
    made.close()
    assert segments() <= before


# --- recipes --------------------------------------------------------------------------------------------


class Named(keras.layers.Layer):
    """Keeps one layer in another, and is registered nowhere."""

    def __init__(self, units, **named):
        super().__init__(**named)
        self.units = units
        self.inner = keras.layers.Dense(units)

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def intricate():
    """Nested, with lambdas of one name, things that Keras's config forgets, and layers frozen."""
    scale = keras.layers.Normalization()
    scale.adapt(X)
    inputs = keras.Input((3,))
    block = keras.Sequential([keras.layers.Dense(4, activation="tanh"), Named(3, name="mine")], name="block")
    x = block(scale(inputs))
    x = keras.layers.Lambda(lambda v: 2 * v)(x) + keras.layers.Lambda(lambda v: 3 * v)(x)
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    block.layers[0].trainable = False
    optimizer = keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(0.1, 50), weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    metrics = [keras.metrics.RootMeanSquaredError(), lambda y, p: keras.ops.mean(y - p)]
    model.compile(optimizer, keras.losses.Huber(delta=0.25), metrics=metrics)
    return model


def test_a_recipe_makes_the_same_model():
    model = intricate()
    recipe = pickle.loads(cloudpickle.dumps(PortableRecipe.of(model)))
    other = recipe.make()
    other.set_weights(model.get_weights())
    fit = {"epochs": 3, "batch_size": 8, "shuffle": False, "verbose": 0}
    ours, theirs = (m.fit(X, Y, **fit).history for m in (other, model))
    renamed = dict(zip(theirs, ours.values(), strict=True))  # of a lambda, Keras numbers the name
    assert_logs_agree(renamed, theirs, rtol=1e-6)
    assert other.get_layer("block").layers[0].trainable is False
    assert fl.shared_state(model, other) == []


def test_a_recipe_refuses_what_it_would_make_otherwise():
    class Own(keras.Model):
        def compile(self, *arguments, flavour="plain", **named):
            super().compile(*arguments, **named)

    inputs = keras.Input((3,))
    model = Own(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse", flavour="sweet")
    with pytest.raises(fl.BuilderError, match=r"class Own has a `compile\(\)` of its own"):
        PortableRecipe.of(model)
    plain = build()
    plain.compile("sgd", plain.layers[0].compute_output_shape)
    with pytest.raises(fl.BuilderError, match="method `compute_output_shape` of Dense"):
        PortableRecipe.of(plain)


# --- reasons --------------------------------------------------------------------------------------------


def test_errors_of_other_packages_are_known():
    assert foreign_in(ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")) == "tensorflow"
    assert foreign_in(ValueError("mine")) == ""
    odd = type("Odd", (Exception,), {"__module__": "torch.errors"})
    wrapped = RuntimeError("Unable to automatically build the model. And so on")
    wrapped.__context__ = odd("inner")
    assert foreign_in(wrapped) == "torch"
    assert str(unwrapped(wrapped)) == "inner"
