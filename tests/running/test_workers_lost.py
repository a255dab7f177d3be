"""Workers that are killed, that hang, that a trial ends; and drivers that are: what was begun goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import _processes
import fairlane as fl
from _crew import Lasting, two_workers
from _trial import FIT, X, Y, build
from fairlane.engines.pool import engine as pool_engine
from fairlane.engines.pool import local
from fairlane.running.progress import Progress

pytestmark = pytest.mark.slow
LR = {"lr": [0.1, 0.05, 0.02, 0.01]}
LOST = "ignore:worker .* It had:fairlane.errors.FairlaneWarning"


@pytest.fixture
def crew(monkeypatch):
    """Calls use the processes that are there already; lost ones are replaced."""
    crew = two_workers()
    monkeypatch.setattr(local, "LocalCrew", lambda *places: Lasting(crew))
    return crew


class Kills(keras.callbacks.Callback):
    """Ends its process once, at the end of an epoch; writes down the epochs that begin."""

    def __init__(self, log, flag, epoch, how=signal.SIGKILL):
        super().__init__()
        self.log, self.flag, self.epoch, self.how = str(log), str(flag), epoch, how

    def on_epoch_begin(self, epoch, logs=None):
        with open(self.log, "a") as file:
            file.write(f"{epoch} ")

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            try:
                os.close(os.open(self.flag, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return
            os.kill(os.getpid(), self.how)
            time.sleep(0.1)


def assert_as_alone(study, **arguments):
    """A study's numbers are those of one that nothing happened to."""
    alone = fl.compare(build, LR, X, Y, **{**FIT, "verbose": 0, **arguments})
    assert study.trials["state"].tolist() == ["done"] * len(study.trials)
    assert len(study.history) == len(alone.history)
    np.testing.assert_allclose(study.history.to_numpy(float), alone.history.to_numpy(float), rtol=1e-4)


@pytest.mark.parametrize("engine", ["lanes", "reference"])
def test_a_killed_worker_costs_one_checkpoint_interval(crew, tmp_path, engine):
    def callbacks(trial):
        return [Kills(tmp_path / f"{trial.number}.log", tmp_path / "killed", 3)] if trial.number == 1 else []

    given = {**FIT, "epochs": 6, "verbose": 0, "engine": engine, "checkpoint_every": 1}
    given |= {"store": tmp_path / "runs.db", "name": "one"}
    with pytest.warns(fl.FairlaneWarning, match=r"was killed \(signal 9\).* It had .*trial 1 .* checkpoint"):
        study = fl.compare(build, LR, X, Y, callbacks=callbacks, workers=2, **given)
    assert_as_alone(study, epochs=6)
    epochs = list(map(int, (tmp_path / "1.log").read_text().split()))
    assert epochs == [0, 1, 2, 3, 3, 4, 5]  # only the epoch in which it was killed is trained again


@pytest.mark.filterwarnings(LOST)
def test_a_trial_that_ends_its_worker_each_time_fails_and_others_go_on(crew):
    def ends(lr):
        if lr == 0.05:
            os.kill(os.getpid(), signal.SIGKILL)
        return build(lr)

    study = fl.compare(ends, LR, X, Y, workers=2, **FIT, verbose=0)
    assert study.trials["state"].tolist() == ["done", "failed", "done", "done"]
    assert study.trials["error"][1].startswith("its worker ended with it twice. The last time, worker ")
    assert "was killed (signal 9), often because memory ran out" in study.trials["error"][1]
    alone = fl.compare(build, {"lr": [0.1, 0.02, 0.01]}, X, Y, **FIT, verbose=0)
    ours = study.history.loc[study.history["trial"] != 1]
    np.testing.assert_allclose(ours["loss"], alone.history["loss"], rtol=1e-4)


@pytest.mark.filterwarnings(LOST)
def test_a_worker_that_hangs_is_replaced(crew, tmp_path, monkeypatch):
    monkeypatch.setattr(pool_engine, "_SECONDS_OF_PATIENCE", 5.0)

    def callbacks(trial):
        stops = signal.SIGSTOP
        return [Kills(tmp_path / "log", tmp_path / "stopped", 1, stops)] if trial.number == 2 else []

    with pytest.warns(fl.FairlaneWarning, match="gave no sign of life for 5 s, and was ended"):
        study = fl.compare(build, LR, X, Y, callbacks=callbacks, workers=2, **FIT, verbose=0)
    assert_as_alone(study)


def test_ctrl_c_keeps_what_was_trained(crew, tmp_path, monkeypatch):
    update, seen = Progress.update, []

    def interrupted(self, record):
        update(self, record)
        seen.append(record)
        if len(seen) == 6:
            raise KeyboardInterrupt

    given = {**FIT, "epochs": 8, "verbose": 0, "workers": 2, "store": tmp_path / "runs.db", "name": "one"}
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "update", interrupted)
        with pytest.warns(fl.FairlaneWarning, match="interrupted"):
            study = fl.compare(build, LR, X, Y, **given)
    assert set(study.trials["state"]) <= {"interrupted", "done", "waiting"}
    assert_as_alone(fl.compare(build, LR, X, Y, **given), epochs=8)


DRIVER = """
import sys, fairlane as fl
from _trial import FIT, X, Y, build
import keras
class Slow(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        import os, time
        print(os.getpid(), flush=True)
        time.sleep(0.2)
fl.compare(build, {"lr": [0.1, 0.05]}, X, Y, workers=2, callbacks=lambda: [Slow()], verbose=0, engine="reference",
           **{**FIT, "epochs": 500})
"""


def test_workers_end_with_a_driver_that_is_killed():
    path = os.pathsep.join([str(Path(fl.__file__).parents[1]), str(Path(__file__).parents[1])])
    # No `if __name__ == "__main__"`: a worker does not run the script again.
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        env={**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
    pids: set[int] = set()
    while len(pids) < 2:
        pids.add(int(driver.stdout.readline()))
    driver.kill()
    driver.wait()
    driver.stdout.close()
    assert _processes.eventually(lambda: not any(map(_processes.lives, pids)))
