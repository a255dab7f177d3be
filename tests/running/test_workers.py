"""``workers=``: what worker processes train is what this process trains, and nothing of them is left."""

import importlib.util
import os
import random
import sys
import threading
import time
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import keras
import numpy as np
import pytest

import _processes
import fairlane as fl
from _crew import Lasting, two_workers
from _processes import segments
from _trial import FIT, X, Y, build
from fairlane.engines.lanes import engine as lanes_engine
from fairlane.engines.pool import local
from fairlane.engines.workers import parcel
from fairlane.running import crews, driver
from fairlane.trials import TrialStarted

LR = {"lr": [0.1, 0.05, 0.02]}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """This process cuts fleets as a worker does that gets all trials and has one core: then all bits are equal."""
    monkeypatch.setattr(lanes_engine, "default_threads", lambda: 1)


@pytest.fixture
def crew(monkeypatch):
    """Calls use the processes that are there already."""
    crew = two_workers()
    monkeypatch.setattr(local, "LocalCrew", lambda *places: Lasting(crew))
    return crew


def compared(builder=build, variants=LR, x=X, y=Y, **arguments):
    """A study in this process, and the same by workers."""
    given = {**FIT, "seeds": 2, "verbose": 0, **arguments}
    own = fl.compare(builder, variants, x, y, **given)
    return own, fl.compare(builder, variants, x, y, workers=2, **given)


def assert_same(own, theirs):
    """Two studies have the same numbers, to the last bit."""
    assert own.trials["state"].tolist() == theirs.trials["state"].tolist()
    assert own.trials["engine"].tolist() == theirs.trials["engine"].tolist()
    assert set(own.trials["worker"]) == {""}
    named = theirs.trials["worker"].str.fullmatch(r"worker \d+ \(process \d+\)")
    assert named.tolist() == (theirs.trials["engine"] != "").tolist()  # one that can't be built never starts
    assert list(own.history.columns) == list(theirs.history.columns)
    np.testing.assert_array_equal(own.history.to_numpy(float), theirs.history.to_numpy(float))
    for number, state in enumerate(own.trials["state"]):
        if state == "done":
            for a, b in zip(weights(own, number), weights(theirs, number), strict=True):
                np.testing.assert_array_equal(a, b)


def weights(study, number):
    return study.model(number).get_weights()


def children():
    """The processes that this one has started, and that are not ended and waited for."""
    found = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {int(pid) for listed in found for pid in listed.read_text().split()}


# --- the same numbers -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
def test_nothing_is_left_of_workers(monkeypatch):
    made = []

    def remembered(*given, **named):
        made.append(SharedMemory(*given, **named))
        return made[-1]

    monkeypatch.setattr(parcel, "SharedMemory", remembered)
    fl.compare(build, [{}], X, Y, epochs=1, verbose=0)  # what is loaded or started once, is
    resource_tracker.ensure_running()  # Python's own process, which frees shared memory if this one is killed
    before = children(), threading.active_count()
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    expected = random.Random(3).random(), np.random.RandomState(3).rand()
    policy, folder = keras.config.dtype_policy(), os.getcwd()
    own, theirs = compared(seeds=1)
    assert_same(own, theirs)
    assert (random.random(), np.random.rand()) == expected  # noqa: NPY002
    assert keras.config.dtype_policy() is policy
    assert os.getcwd() == folder
    assert made
    assert not {one.name for one in made} & segments()
    assert children() == before[0]
    assert threading.active_count() <= before[1]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["lanes", "reference"])
def test_workers_train_what_this_process_trains(crew, engine):
    assert_same(*compared(engine=engine))


@pytest.mark.slow
def test_folds_and_builders_that_see_them(crew):
    def adapts(lr, x_train, fold):
        layer = keras.layers.Normalization()
        layer.adapt(x_train)
        model = keras.Sequential([keras.Input((3,)), layer, keras.layers.Dense(1 + 0 * fold)])
        model.compile(keras.optimizers.SGD(lr), "mse")
        return model

    assert_same(*compared(adapts, cv=3, seeds=1, epochs=2, validation_split=None))


@pytest.mark.slow
def test_a_template_data_of_ones_own_and_callbacks(crew, tmp_path):
    def make(size, lr):
        return {"x": X[:size], "y": Y[:size]}

    def callbacks(trial):
        return [
            keras.callbacks.CSVLogger(tmp_path / f"{trial.number}.csv"),
            keras.callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=1.0, factor=0.5),
        ]

    own, theirs = compared(variants={"lr": [0.1, 0.02], "size": [24, 42]}, x=None, y=None, data=make, seeds=1)
    assert_same(own, theirs)
    template = build()
    paths = {f"{template.layers[1].name}.rate": [0.1, 0.4]}
    own, theirs = compared(template, paths, callbacks=callbacks)
    assert_same(own, theirs)
    assert len((tmp_path / "1.csv").read_text().splitlines()) == 1 + FIT["epochs"]


@pytest.mark.slow
def test_what_lanes_can_not_run_goes_to_all_workers(crew):
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1)

        def call(self, x):
            return self.dense(x)

        def fit(self, *given, **named):
            return super().fit(*given, **named)

    def own(lr):
        model = Own()
        model.compile(keras.optimizers.SGD(lr), "mse")
        return model

    ours, theirs = compared(own, seeds=1)
    assert theirs.trials["engine"].tolist() == ["reference"] * 3
    assert theirs.trials["reason"].tolist() == ours.trials["reason"].tolist()
    assert_same(ours, theirs)


@pytest.mark.slow
def test_a_trial_that_fails_is_recorded(crew):
    def fails(lr):
        if lr == 0.05:
            raise ValueError("no such model")
        return build(lr)

    own, theirs = compared(fails, seeds=1)
    assert_same(own, theirs)
    assert theirs.trials["error"].tolist()[1] == "ValueError: no such model"
    with pytest.raises(fl.TrialError, match="no such model") as raised:
        fl.compare(fails, LR, X, Y, workers=2, on_error="raise", verbose=0)
    assert isinstance(raised.value.__cause__, ValueError)


# --- arguments ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, -1, True, 1.5, "many", [2]])
def test_other_values_are_refused(workers):
    with pytest.raises(fl.StudyError, match="workers must be None"):
        fl.compare(build, LR, X, Y, workers=workers)


def test_what_can_not_travel_is_refused_before_training(monkeypatch):
    class Nobody(Lasting):
        def members(self):
            raise AssertionError("training begins")

    monkeypatch.setattr(local, "LocalCrew", lambda *places: Nobody(None))
    lock = threading.Lock()

    def locked(lr):
        with lock:
            return build(lr)

    class Locks(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.lock = threading.Lock()

    with pytest.raises(fl.StudyError, match="the builder can't be sent to worker processes"):
        fl.compare(locked, LR, X, Y, workers=2, verbose=0)
    with pytest.raises(fl.StudyError, match="callback Locks can't be sent to worker processes"):
        fl.compare(build, LR, X, Y, workers=2, callbacks=lambda: [Locks()], verbose=0)
    batches = ((X[:8], Y[:8]) for _ in range(9))
    with pytest.raises(fl.StudyError, match="x, a generator, can't be sent to worker processes"):
        fl.compare(build, LR, batches, workers=2, steps_per_epoch=3, shuffle=False, verbose=0)


def test_one_process_for_each_device(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    environments, threads = crews.places("devices")
    assert [one["CUDA_VISIBLE_DEVICES"] for one in environments] == ["2", "5"]
    assert threads is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    environments, threads = crews.places("devices")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert len(environments) * threads <= cores < (len(environments) + 1) * (threads + 1)
    assert crews.places(3) == ([{}] * 3, max(1, cores // 3))


# --- searches -------------------------------------------------------------------------------------------

SPACE = {"lr": fl.Float(1e-3, 0.3, log=True), "units": fl.Int(2, 4)}


@pytest.mark.slow
@pytest.mark.parametrize("stop", ["hyperband", "median"])
def test_a_search_decides_as_in_this_process(crew, stop):
    given = {"trials": 12, "epochs": 9, "objective": "val_loss", "stop": stop, "sampler": "random"}
    given |= {"validation_split": 0.25, "batch_size": 8, "confirm": 2, "verbose": 0}
    own = fl.search(build, SPACE, X, Y, **given)
    theirs = fl.search(build, SPACE, X, Y, workers=2, **given)
    assert "stopped" in own.trials["state"].tolist()
    for column in ("state", "seed", "lr", "units"):
        assert theirs.trials[column].tolist() == own.trials[column].tolist()
    assert theirs.history["epoch"].tolist() == own.history["epoch"].tolist()
    np.testing.assert_allclose(theirs.history["val_loss"], own.history["val_loss"], rtol=1e-4)


class Slow(keras.callbacks.Callback):
    """An epoch takes its time."""

    def on_epoch_end(self, epoch, logs=None):
        time.sleep(0.02)


@pytest.mark.slow
def test_a_budget_ends_what_workers_train(crew):

    given = {"workers": 2, "seeds": 8, "callbacks": lambda: [Slow()], "verbose": 0}
    with pytest.warns(fl.FairlaneWarning, match="the budget of 3s is spent"):
        study = fl.compare(build, LR, X, Y, budget="3s", **{**FIT, "epochs": 10_000}, **given)
    assert set(study.trials["state"]) <= {"interrupted", "waiting"}
    assert len(study.history)


# --- other backends -------------------------------------------------------------------------------------

SESSION = """
import keras, numpy as np, fairlane as fl
from _trial import FIT, X, Y, build
given = {**FIT, "seeds": 2, "verbose": 0, "engine": %r}
own = fl.compare(build, {"lr": [0.1, 0.02]}, X, Y, **given)
theirs = fl.compare(build, {"lr": [0.1, 0.02]}, X, Y, workers=2, **given)
assert theirs.trials["state"].tolist() == ["done"] * 4, theirs.trials["error"].tolist()
assert theirs.trials["engine"].tolist() == [%r] * 4, theirs.trials["reason"].tolist()
np.testing.assert_allclose(theirs.history.to_numpy(float), own.history.to_numpy(float), rtol=%r)
print(keras.backend.backend())
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
@pytest.mark.parametrize(
    ("engine", "chosen", "rtol"), [("reference", "reference", 1e-6), ("auto", "lanes", 1e-4)]
)
def test_sessions_on_other_backends(backend, engine, chosen, rtol):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install 'fairlane[backends]'")
    path = os.pathsep.join([str(Path(fl.__file__).parents[1]), str(Path(__file__).parents[1])])
    ran = _processes.run(
        [sys.executable, "-c", SESSION % (engine, chosen, rtol)],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert ran.stdout.split() == [backend], ran.stderr


@pytest.mark.parametrize("engine", ["lanes", "reference"])
def test_phases_are_trained_by_workers(crew, engine):
    def slower(model):
        model.compile(keras.optimizers.SGD(0.001, momentum=0.9), "mse")

    own, theirs = compared(then=[fl.Phase(slower, epochs=2)], engine=engine, seeds=1)
    assert_same(own, theirs)
    assert own.trials["epochs"].tolist() == [FIT["epochs"] + 2] * 3


def test_a_phase_that_a_worker_declines_goes_on_where_it_begins(crew, monkeypatch):
    """The phases before it are not trained again."""
    starts, write = [], driver.Driver._write

    def noted(self, event):
        if isinstance(event, TrialStarted):
            starts.append((event.trial.number, event.epoch, event.engine))
        write(self, event)

    def eagerly(model):
        model.compile(keras.optimizers.SGD(0.001), "mse", run_eagerly=True)

    monkeypatch.setattr(driver.Driver, "_write", noted)
    own, theirs = compared(then=[fl.Phase(eagerly, epochs=2)], seeds=1)
    np.testing.assert_allclose(own.history["loss"], theirs.history["loss"], rtol=1e-6)
    assert theirs.trials["engine"].tolist() == ["reference"] * 3
    here, there = sorted(starts[: len(starts) // 2]), sorted(starts[len(starts) // 2 :])
    assert there == here
    assert {epoch for _, epoch, engine in there if engine == "reference"} == {FIT["epochs"]}
