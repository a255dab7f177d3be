"""Data that are read while lanes train: the same numbers as Keras alone, and each batch read once."""

from __future__ import annotations

import doctest
import random
import threading

import keras
import numpy as np
import pytest
import scipy.sparse
from hypothesis import example, given, settings
from hypothesis import strategies as st

import fairlane as fl
from fairlane.engines.data import sources
from fairlane.engines.lanes import admission
from fairlane.errors import LanesError, StudyError
from fairlane.models import session

_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(20, 3)).astype("float32")
Y = (X.sum(axis=1, keepdims=True) > 0).astype("float32")

pytestmark = pytest.mark.filterwarnings(
    "ignore:.shuffle=True. was passed",  # Keras's own, of every source that it can't shuffle
    "ignore:Your input ran out of data",
)


def build(learning_rate=0.1, steps_per_execution=1, dropout=0.0):
    layers = [keras.Input((3,)), keras.layers.Dense(2, activation="tanh"), keras.layers.Dropout(dropout)]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    optimizer = keras.optimizers.SGD(learning_rate)
    model.compile(optimizer, "mse", metrics=["mae"], steps_per_execution=steps_per_execution)
    return model


class Rows(keras.utils.PyDataset):
    """Batches of ``size`` rows, that counts what is asked of it."""

    def __init__(self, rows=20, size=4, **options):
        super().__init__(**options)
        self.rows, self.size = rows, size
        self.read: list[int] = []
        self.begun = self.ended = 0

    def __len__(self):
        return -(-self.rows // self.size)

    def __getitem__(self, i):
        self.read.append(i)
        batch = slice(i * self.size, min(self.rows, (i + 1) * self.size))
        return X[batch], Y[batch]

    def on_epoch_begin(self):
        self.begun += 1

    def on_epoch_end(self):
        self.ended += 1


def batches(*sizes):
    """A generator of batches of the given sizes."""
    first = 0
    for size in sizes:
        yield X[first : first + size], Y[first : first + size]
        first += size


def endless():
    while True:
        yield from batches(4, 4, 4, 4)


def alone(make, trial, **arguments):
    """Keras alone, with data made anew."""
    keras.utils.set_random_seed(trial.seed)
    model = build(**trial.hyperparameters)
    return model.fit(**make(), verbose=0, **arguments).history


def check(make, variants, seeds=2, build=build, **arguments):
    """Compare a study with Keras alone, trial by trial; return the study."""
    with session.left_as_found():
        study = fl.compare(build, variants, **make(), seeds=seeds, engine="lanes", verbose=0, **arguments)
        assert study.trials["state"].tolist() == ["done"] * len(study.trials), study.trials["error"].tolist()
        for record in study._store:
            expected = alone(make, record.trial, **arguments)
            mine = study.history[study.history["trial"] == record.trial.number]
            for log, values in expected.items():
                logged = mine[log].dropna()  # where `validation_freq` left one out
                np.testing.assert_allclose(logged, values, rtol=1e-5, atol=1e-7, err_msg=str(record.trial))
    return study


TWO = [{"learning_rate": 0.1}, {"learning_rate": 0.01}]

CASES = {
    "PyDataset, shuffled by seed": (lambda: {"x": Rows()}, {"epochs": 3}),
    "PyDataset, in order": (lambda: {"x": Rows(), "shuffle": False}, {"epochs": 2}),
    "PyDataset, smaller last batch": (lambda: {"x": Rows(18)}, {"epochs": 2}),
    "PyDataset, fewer steps": (lambda: {"x": Rows()}, {"epochs": 4, "steps_per_epoch": 2}),
    "PyDataset, workers": (lambda: {"x": Rows(workers=2)}, {"epochs": 2}),
    "PyDataset, class weights": (lambda: {"x": Rows()}, {"epochs": 2, "class_weight": {0: 1.0, 1: 3.0}}),
    "PyDataset for validation": (lambda: {"x": X, "y": Y, "validation_data": Rows(6)}, {"epochs": 2}),
    "PyDataset, arrays for validation": (
        lambda: {"x": Rows(), "validation_data": (X[:7], Y[:7])},
        {"epochs": 3, "validation_freq": 2, "validation_batch_size": 3},
    ),
    "generator": (
        lambda: {"x": endless(), "validation_data": endless()},
        {"epochs": 3, "steps_per_epoch": 3, "validation_steps": 2},
    ),
    "generator of unknown length": (lambda: {"x": batches(4, 4, 4, 4, 4)}, {"epochs": 1}),
    "generator of batches of many sizes": (lambda: {"x": batches(4, 3, 3, 5, 5)}, {"epochs": 1}),
    "generator, used up in the second epoch": (
        lambda: {"x": batches(4, 4, 4, 4, 4)},
        {"epochs": 3, "steps_per_epoch": 3},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_lanes_equal_keras_alone(name):
    make, arguments = CASES[name]
    check(make, TWO, **arguments)


@settings(deadline=None, max_examples=6, derandomize=True)
@given(
    rows=st.integers(1, 20),
    size=st.integers(1, 7),
    steps=st.none() | st.integers(1, 4),
    at_once=st.integers(1, 3),
)
@example(rows=20, size=3, steps=5, at_once=2)
def test_any_cut_equals_keras_alone(rows, size, steps, at_once):
    variants = [{"steps_per_execution": at_once}]
    check(lambda: {"x": Rows(rows, size)}, variants, seeds=1, epochs=3, steps_per_epoch=steps)


def test_dropout_is_each_trials_own():
    check(lambda: {"x": Rows()}, [{"dropout": 0.5}], seeds=3, epochs=2)


def test_each_batch_is_read_once_for_all_lanes():
    data = Rows()
    study = fl.compare(build, TWO, data, seeds=3, shuffle=False, epochs=2, engine="lanes", verbose=0)
    assert study.trials["state"].tolist() == ["done"] * 6
    # Keras reads the first batch to build models, then each of the five once per epoch.
    assert data.read == [0, *range(5), *range(5)]
    by_keras = Rows()
    with session.left_as_found():
        build().fit(by_keras, shuffle=False, epochs=2, verbose=0)
    assert data.read == by_keras.read
    assert (data.begun, data.ended) == (by_keras.begun, by_keras.ended)


def test_what_keras_shuffles_by_seed_is_read_once_per_seed():
    read = []

    class Noted(Rows):
        def __getitem__(self, i):
            read.append(i)
            return super().__getitem__(i)

    fl.compare(build, TWO, Noted(), seeds=3, epochs=2, engine="lanes", verbose=0)
    assert len(read) == 3 * (1 + 2 * 5)


class Growing(Rows):
    """A curriculum: later epochs have more batches, of larger numbers."""

    def __len__(self):
        return 2 + self.ended

    def __getitem__(self, i):
        x, y = super().__getitem__(i % 5)
        return x * (1 + 0.1 * self.ended), y


@pytest.mark.parametrize("engine", ["lanes", "reference"])
def test_a_dataset_that_changes_between_epochs_is_as_at_first_for_each_trial(engine):
    with session.left_as_found():
        study = fl.compare(build, TWO, Growing(), seeds=2, epochs=2, engine=engine, verbose=0)
        for record in study._store:
            expected = alone(lambda: {"x": Growing()}, record.trial, epochs=2)["loss"]
            mine = study.history[study.history["trial"] == record.trial.number]["loss"]
            np.testing.assert_allclose(mine, expected, rtol=1e-5, err_msg=str(record.trial))


@pytest.mark.parametrize("samples", [40, 2**20])
def test_samples_that_a_dataset_shuffles_in_place_are_not_shared(samples):
    """A small array is copied for each order of batches; a large one is not, and then the trial fails."""

    class InPlace(Rows):
        def __init__(self):
            super().__init__()
            self.own, self.rng = np.linspace(0, 1, samples), np.random.default_rng(3)

        def __getitem__(self, i):
            x, y = super().__getitem__(i)
            return x * self.own[i], y

        def on_epoch_end(self):
            self.rng.shuffle(self.own)

    study = fl.compare(build, [{}], InPlace(), seeds=2, epochs=2, engine="lanes", verbose=0)
    states, errors = list(study.trials["state"]), list(study.trials["error"])
    if samples == 40:
        expected = [alone(lambda: {"x": InPlace()}, r.trial, epochs=2)["loss"] for r in study._store]
        np.testing.assert_allclose(np.reshape(study.history["loss"], (2, 2)), expected, rtol=1e-5)
    else:
        assert states == ["done", "failed"]
        assert "read-only (x, y and the other data can't be written to during training" in errors[1]


def test_that_a_changing_dataset_cannot_be_copied_is_said():
    data = Rows()
    data.lock = threading.Lock()
    with pytest.warns(fl.FairlaneWarning, match=r"x is a Rows .* can't be copied \(TypeError: cannot pickle"):
        fl.compare(build, [{}], data, seeds=2, epochs=1, engine="lanes", verbose=0)


def test_random_sources_are_drawn_once():
    drawn = []

    class Noise(Rows):
        def __getitem__(self, i):
            drawn.append(np.random.normal(size=(4, 3)).astype("float32"))  # noqa: NPY002
            return drawn[-1], Y[:4]

    study = fl.compare(build, [{}], Noise(), seeds=[5, 6], shuffle=False, epochs=1, verbose=0, engine="lanes")
    assert len(drawn) == 1 + 5
    with session.left_as_found():
        keras.utils.set_random_seed(6)  # the second trial, on just what was drawn
        model = build()
        expected = model.fit(
            np.concatenate(drawn[1:]), np.tile(Y[:4], (5, 1)), batch_size=4, shuffle=False, verbose=0
        )
    mine = study.history[study.history["seed"] == 6]["loss"]
    np.testing.assert_allclose(mine, expected.history["loss"], rtol=1e-5)


def test_random_generators_are_left_alone():
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    fl.compare(build, TWO, Rows(), epochs=1, verbose=0, engine="lanes")
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002


def test_models_are_trained_in_place():
    models = [build(0.1), build(0.01)]
    twins = [fl.copy(model) for model in models]
    histories = fl.fit(models, Rows(), shuffle=False, epochs=2, engine="lanes", verbose=0)
    for twin, model, history in zip(twins, models, histories, strict=True):
        expected = twin.fit(Rows(), shuffle=False, epochs=2, verbose=0)
        np.testing.assert_allclose(history.history["loss"], expected.history["loss"], rtol=1e-5)
        for a, b in zip(twin.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_trained_model_comes_back_though_its_generator_is_used_up():
    study = fl.compare(build, TWO, batches(4, 4, 4), epochs=1, verbose=0, engine="lanes")
    model = study.model(1)
    assert np.isfinite(model.evaluate(X, Y, verbose=0)[0])


def test_early_stopping_and_stop_before_an_epoch():
    class StopAtOnce(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1 and float(self.model.optimizer.learning_rate) > 0.05:
                self.model.stop_training = True

    def make():
        return {"x": Rows(), "callbacks": lambda: [StopAtOnce()]}

    with session.left_as_found():
        study = fl.compare(build, TWO, **make(), epochs=4, verbose=0, engine="lanes")
        keras.utils.set_random_seed(0)
        expected = build(0.1).fit(Rows(), epochs=4, verbose=0, callbacks=[StopAtOnce()]).history["loss"]
    first, second = (study.history[study.history["trial"] == i]["loss"].tolist() for i in (0, 1))
    np.testing.assert_allclose(first, expected, rtol=1e-5)
    assert (len(first), len(second)) == (2, 4)


@pytest.mark.parametrize("held_out", [Rows(6), (X[:6], Y[:6])], ids=["read", "arrays"])
def test_callbacks_between_training_and_validation(held_out):
    def averaging(learning_rate=0.1):
        model = build()
        model.compile(keras.optimizers.SGD(learning_rate, use_ema=True, ema_momentum=0.5), "mse")
        return model

    def swap():
        return [keras.callbacks.SwapEMAWeights()]

    arguments = {"epochs": 3, "validation_data": held_out, "verbose": 0}
    with session.left_as_found():
        study = fl.compare(averaging, TWO, Rows(), callbacks=swap, engine="lanes", **arguments)
        for trial, rate in enumerate((0.1, 0.01)):
            keras.utils.set_random_seed(0)
            expected = averaging(rate).fit(Rows(), callbacks=swap(), **arguments).history
            mine = study.history[study.history["trial"] == trial]
            np.testing.assert_allclose(mine["val_loss"], expected["val_loss"], rtol=1e-5)


# --- what can't be read ---------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:nothing was trained")
def test_an_error_of_the_source_ends_those_who_read_it():
    class Broken(Rows):
        def __getitem__(self, i):
            if i == 3:
                raise OSError("no such file: 3.png")
            return super().__getitem__(i)

    study = fl.compare(build, TWO, Broken(), shuffle=False, epochs=2, verbose=0, engine="lanes")
    assert study.trials["state"].tolist() == ["failed"] * 2
    assert study.trials["error"].tolist() == ["OSError: no such file: 3.png"] * 2


def test_sparse_arrays_run_on_the_reference_engine():
    x = scipy.sparse.csr_matrix(X)
    study = fl.compare(build, [{}], x, Y, epochs=1, verbose=0)
    assert study.trials["engine"].tolist() == ["reference"]
    assert "x has sparse arrays (csr_matrix), and lanes need dense ones" in study.trials["reason"][0]


def test_sparse_batches_run_on_the_reference_engine():
    class Sparse(Rows):
        def __getitem__(self, i):
            x, y = super().__getitem__(i)
            return scipy.sparse.csr_matrix(x), y

    study = fl.compare(build, TWO, Sparse(), epochs=1, verbose=0)
    assert study.trials["engine"].tolist() == ["reference"] * 2
    assert study.trials["state"].tolist() == ["done"] * 2
    assert "x gives sparse batches (csr_matrix)" in study.trials["reason"][0]


def test_texts_are_refused_with_their_dtype():
    class Texts(Rows):
        def __getitem__(self, i):
            return np.array([["a"]] * 4), Y[:4]

    with pytest.raises(
        LanesError, match="validation_data gives batches of dtype <U1, and lanes take numbers"
    ):
        fl.compare(build, [{}], X, Y, validation_data=Texts(), epochs=1, verbose=0, engine="lanes")


def test_a_generator_can_be_read_once_only():
    with pytest.raises(StudyError, match="x is a generator, which can be read only once, but 2 trials"):
        fl.compare(build, TWO, endless(), steps_per_epoch=2, verbose=0, engine="reference")
    with pytest.raises(StudyError, match="the variants read it in different ways"):
        fl.compare(build, {"steps_per_epoch": [1, 2]}, endless(), verbose=0)


def test_a_generator_is_not_left_to_the_reference_engine_by_many():
    def eager(learning_rate):
        model = build(learning_rate)
        model.compile("sgd", "mse", run_eagerly=True)
        return model

    with pytest.raises(StudyError, match=r"trial 0 .* can't run on lanes: .*run_eagerly.* only lanes"):
        fl.compare(eager, TWO, endless(), steps_per_epoch=2, verbose=0)


def test_a_generator_that_lanes_decline_loses_no_batch():
    def eager():
        model = build()
        model.compile("sgd", "mse", run_eagerly=True)
        return model

    with session.left_as_found():
        study = fl.compare(eager, [{}], batches(4, 4, 4, 4, 4), epochs=1, verbose=0)
        keras.utils.set_random_seed(0)
        expected = eager().fit(batches(4, 4, 4, 4, 4), epochs=1, verbose=0).history["loss"]
    assert study.trials["engine"].tolist() == ["reference"]
    np.testing.assert_allclose(study.history["loss"], expected, rtol=1e-6)


# --- arrays that are too large --------------------------------------------------------------------------


def test_arrays_larger_than_the_device_are_read_in_pieces(monkeypatch, tmp_path):
    monkeypatch.setattr("fairlane.running.data.room_for_data", lambda: 100)
    read = []
    monkeypatch.setattr(sources, "PIECE_STEPS", 2)
    put = sources.Reading._packed

    def packed(self, held, shapes, rest=False):
        for piece in put(self, held, shapes, rest):
            read.append(piece.steps)
            yield piece

    monkeypatch.setattr(sources.Reading, "_packed", packed)
    np.save(tmp_path / "x.npy", X)
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    check(lambda: {"x": x, "y": Y}, TWO, epochs=2, batch_size=3, validation_split=0.2)
    assert max(read) == 2  # no more than two batches of three were on the device at once


def test_a_memory_mapped_array_is_validated_on_too(monkeypatch):
    monkeypatch.setattr("fairlane.running.data.room_for_data", lambda: 0)
    weights = np.linspace(0.5, 1, 20)
    held_out = X[:5], Y[:5], weights[:5]
    check(
        lambda: {"x": X, "y": Y, "sample_weight": weights, "validation_data": held_out},
        [{"dropout": 0.3}],
        epochs=2,
        batch_size=8,
    )


def test_lanes_in_waves_read_anew(monkeypatch):
    monkeypatch.setattr(admission, "lanes_that_fit", lambda state: 2)
    check(lambda: {"x": Rows()}, {"learning_rate": [0.1, 0.05, 0.01]}, seeds=1, epochs=2)
    with pytest.raises(StudyError, match="read once, by all 3 trials together, and only 2 fit"):
        fl.compare(build, {"learning_rate": [0.1, 0.05, 0.01]}, endless(), steps_per_epoch=2, verbose=0)


def test_doctests():
    assert doctest.testmod(session).failed == 0
