"""The scheduling of lanes: waves, widths, loops, threads, crashes. What is trained never depends on it."""

from __future__ import annotations

import importlib
import math
import threading

import _jobs
import keras
import numpy as np
import pytest

import fairlane as fl
from fairlane.engines.contract import Declined
from fairlane.engines.lanes import LanesEngine, admission, chunk, engine, fleets, loops, memory
from fairlane.running.policy import OrderBook
from fairlane.trials import EpochEnded, TrialDone, TrialFailed, TrialStarted

RNG = np.random.default_rng(3)
X = RNG.normal(size=(70, 5)).astype("float32")
Y = (X.sum(axis=1) > 0).astype("int32")
EPOCHS = 3


def build(learning_rate: float = 0.01, units: int = 6) -> keras.Model:
    model = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(units, "tanh"), keras.layers.Dense(2, "softmax")]
    )
    model.compile(keras.optimizers.SGD(learning_rate), "sparse_categorical_crossentropy")
    return model


def compare(**changes) -> fl.Study:
    arguments = {"seeds": 5, "engine": "lanes", "epochs": EPOCHS, "batch_size": 16, "verbose": 0}
    arguments["validation_split"] = 0.3
    return fl.compare(build, {"learning_rate": [0.1, 0.01]}, X, Y, **{**arguments, **changes})


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    return compare(engine="reference").history[["loss", "val_loss"]].to_numpy()


def assert_expected(study: fl.Study, expected: np.ndarray) -> None:
    np.testing.assert_allclose(study.history[["loss", "val_loss"]].to_numpy(), expected, rtol=1e-5)


def lanes(n: int, epochs: int = EPOCHS, threads: int | None = None):
    """The lanes engine's events for so many jobs."""
    fit = {"x": X, "y": Y, "epochs": epochs, "batch_size": 16}
    jobs = [_jobs.job(i, fit, learning_rate=0.01 * (i + 1)) for i in range(n)]
    shared = _jobs.resources(build, fit)
    return LanesEngine(shared, threads).run(_jobs.Listed(jobs), OrderBook(standing=True))


def test_a_fleet_trains_in_waves_when_memory_is_short(monkeypatch, expected):
    monkeypatch.setattr(admission, "lanes_that_fit", lambda state: 3)
    most = []
    admit = admission.Admission.admit

    def spy(self):
        admit(self)
        most.append(len(self._roster))

    monkeypatch.setattr(admission.Admission, "admit", spy)
    assert_expected(compare(), expected)
    assert max(most) == 3


def test_the_number_of_lanes_follows_from_free_memory(monkeypatch):
    state = [np.zeros(1000, "float32")]  # 4,000 bytes; a lane is reckoned at 4 times that
    monkeypatch.setattr(memory, "free_memory", lambda: 320_000)  # half of it may be used: 160,000
    assert memory.lanes_that_fit(state) == 10
    monkeypatch.setattr(memory, "free_memory", lambda: 1)
    assert memory.lanes_that_fit(state) == 1
    monkeypatch.setattr(memory, "free_memory", lambda: None)
    assert memory.lanes_that_fit(state) == math.inf


def test_free_memory_is_plausible():
    free = memory.free_memory()
    assert free is None or 2**20 < free < 2**50


@pytest.mark.parametrize("width", [1, 2, 3, 8])
@pytest.mark.parametrize("stepwise", [False, True])
def test_every_loop_gives_the_same(monkeypatch, expected, width, stepwise):
    monkeypatch.setattr(fleets, "choose", lambda model: loops.Loop(width, stepwise))
    study = compare()
    assert_expected(study, expected)
    assert set(study.trials["loop"]) <= {f"{'step' if stepwise else 'scan'}×{w}" for w in range(1, 9)}


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_does_not_matter(threads):
    events = [e for e in lanes(7, threads=threads) if isinstance(e, EpochEnded)]
    logs = {(e.trial.number, e.epoch): e.logs["loss"] for e in events}
    alone = {(0, e.epoch): e.logs["loss"] for e in lanes(1, threads=1) if isinstance(e, EpochEnded)}
    assert len(logs) == 7 * EPOCHS
    for place, loss in alone.items():
        assert logs[place] == pytest.approx(loss, rel=1e-5)


def test_each_trial_starts_tells_its_epochs_in_order_and_ends():
    by_trial: dict[int, list[object]] = {}
    for event in lanes(5):
        by_trial.setdefault(event.trial.number, []).append(event)
    for events in by_trial.values():
        assert isinstance(events[0], TrialStarted)
        assert [e.epoch for e in events[1:-1]] == [0, 1, 2]
        assert isinstance(events[-1], TrialDone)


def test_no_thread_is_left_when_the_run_is_given_up():
    run = lanes(4, epochs=50)
    next(run)
    run.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("fairlane_")]


def test_a_crash_of_a_worker_costs_its_lanes_only(monkeypatch):
    epoch = chunk.Chunk.epoch

    def crash(self):
        work = epoch(self)

        def crashing():
            if any(lane.trial.number == 0 and lane.epoch == 1 for lane in self.lanes):
                raise RuntimeError("something went wrong")
            return work()

        return crashing

    monkeypatch.setattr(chunk.Chunk, "epoch", crash)
    monkeypatch.setattr(fleets, "choose", lambda model: loops.Loop(1, stepwise=False))
    events = list(lanes(3))
    failures = [e for e in events if isinstance(e, TrialFailed)]
    assert [(e.trial.number, e.epoch, e.error) for e in failures] == [
        (0, 1, "RuntimeError: something went wrong")
    ]
    assert sorted(e.trial.number for e in events if isinstance(e, TrialDone)) == [1, 2]


class ReadsValues(keras.Model):
    """Its training step wants to see numbers, which no compiled step has."""

    def train_step(self, state, data):
        if float(np.asarray(data[0]).sum()) > 1e9:
            raise AssertionError("never")
        return super().train_step(state, data)


def reads_values() -> keras.Model:
    inputs = keras.Input((5,))
    model = ReadsValues(inputs, keras.layers.Dense(2)(inputs))
    model.compile("sgd", "mse")
    return model


def test_a_model_that_does_not_trace_is_declined_with_the_reason():
    fit = {"x": X, "y": X[:, :2], "epochs": 1}
    shared = _jobs.resources(lambda **_: reads_values(), fit)
    *_, event = LanesEngine(shared).run(_jobs.Listed([_jobs.job(0, fit)]), OrderBook(standing=True))
    assert isinstance(event, Declined)
    assert event.reason.startswith("its training step can't be traced (Tracer")


@pytest.mark.filterwarnings("ignore:nothing was trained")
def test_auto_leaves_it_to_keras_and_lanes_says_why():
    asked = {"seeds": 1, "epochs": 1, "verbose": 0}
    study = fl.compare(reads_values, [{}], X, X[:, :2], **asked)
    (row,) = study.trials.to_dict("records")
    assert row["engine"] == "reference"
    assert "can't be traced" in row["reason"]
    with pytest.raises(fl.LanesError, match=r"trial 0 .* can't run on lanes: .* can't be traced"):
        fl.compare(reads_values, [{}], X, X[:, :2], engine="lanes", **asked)


def test_operations_make_fleets_and_numbers_and_sizes_do_not():
    def make(learning_rate, units, activation):
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(units, activation)])
        model.add(keras.layers.Dense(1))
        model.compile(keras.optimizers.SGD(learning_rate), "mse")
        return model

    grid = {"learning_rate": [0.1, 0.01], "units": [3, 4], "activation": ["relu", "tanh"]}
    study = fl.compare(make, grid, X, Y, engine="lanes", epochs=1, verbose=0)
    fleets = study.trials.groupby("activation")["fleet"].unique()
    assert [len(f) for f in fleets] == [1, 1]
    assert study.trials["fleet"].nunique() == 2


def test_a_lane_that_stopped_early_leaves_the_program(monkeypatch):
    """Once three of four lanes have stopped, the fourth trains in a chunk of its own."""
    sizes = []
    epoch = chunk.Chunk.epoch

    def spy(self):
        sizes.append(len(self.lanes))
        return epoch(self)

    monkeypatch.setattr(chunk.Chunk, "epoch", spy)
    monkeypatch.setattr(engine, "default_threads", lambda: 1)

    def callbacks(trial):
        class StopAt(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                self.model.stop_training = epoch >= (5 if trial.seed == 2 else 1)

        return [StopAt()]

    study = fl.compare(build, [{}], X, Y, seeds=4, engine="lanes", epochs=9, callbacks=callbacks, verbose=0)
    assert study.trials["epochs"].tolist() == [2, 2, 6, 2]
    assert sum(sizes) == 2 + 2 + 6 + 2


@pytest.mark.parametrize(
    "around", [lambda layer: layer, keras.layers.Bidirectional], ids=["", "Bidirectional"]
)
def test_recurrent_layers_do_without_cudnn_where_lanes_are_vectorised(monkeypatch, around):
    """Keras is made to believe in a GPU: its choice of cuDNN, which can't be vectorised, must not be met."""
    made = []

    def build(rate):
        made.append(keras.layers.LSTM(3))
        model = keras.Sequential([keras.Input((4, 2)), around(made[-1]), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(rate), "mse")
        return model

    monkeypatch.setattr(engine, "default_threads", lambda: 1)
    series = RNG.normal(size=(32, 4, 2)).astype("float32")
    told = {"x": series, "y": series[:, 0, :1], "epochs": 2, "batch_size": 16, "verbose": 0}
    expected = fl.compare(build, {"rate": [0.1, 0.01]}, engine="reference", **told).history["loss"]
    of_keras = importlib.import_module("keras.src.backend.jax.rnn")
    monkeypatch.setattr(of_keras, "_is_gpu_available", lambda: True, raising=False)  # 3.13 has no such choice
    jax_asks = "jaxlib.gpu_rnn.compute_rnn_workspace_reserve_space_sizes"
    monkeypatch.setattr(jax_asks, lambda *_: (1, 1), raising=False)
    study = fl.compare(build, {"rate": [0.1, 0.01]}, engine="lanes", **told)
    assert set(study.trials["loop"]) == {"scan×2"}
    np.testing.assert_allclose(study.history["loss"], expected, rtol=1e-5)
    assert {one.use_cudnn for one in made} == {"auto"}
