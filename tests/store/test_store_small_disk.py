"""A disk that is really full: a small tmpfs, under the database, under the files, and under a whole study.

Mounting takes root (or a user who may mount); elsewhere these tests are skipped, and those with a limit on the
size of files stand in for them.
"""

import shutil
import sqlite3
import subprocess
from contextlib import suppress
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from _stores import of_weights, one_done_and_one_begun, plan, run, start, weights

import _processes
import fairlane as fl
from _trial import FIT, X, Y, build
from fairlane.errors import StoreError
from fairlane.store import read, written
from fairlane.trials import EpochEnded, State, TrialDone, TrialState, Weights

LARGE = Weights(State([np.ones(100_000, "float64")], [], [], []))


class Disk:
    """A disk of 512 KiB.

    Attributes:
        folder: where it is.
    """

    def __init__(self, folder):
        self.folder = folder

    def grow(self):
        """Make it large enough."""
        mount("-o", "remount,size=16m", str(self.folder))

    def fill(self):
        """Leave no room at all."""
        with suppress(OSError), open(self.folder / "other", "wb", 0) as file:
            while file.write(bytes(4096)):
                pass
        assert shutil.disk_usage(self.folder).free == 0

    def clear(self):
        """Give back what `fill` took."""
        (self.folder / "other").unlink()


def mount(*arguments):
    return _processes.run(["mount", *arguments], capture_output=True, text=True, check=True)


@pytest.fixture
def disk(tmp_path):
    if shutil.which("mount") is None:
        pytest.skip("there is no mount(8) here")
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mount("-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no tmpfs can be mounted here: {error.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        _processes.run(["umount", "--lazy", str(folder)], check=True)  # though a file in it should be open


def opened(store):
    made = written(store, "a", {}, {}, "auto")
    return made, made.adopt(plan(), [10_000] * 4)


def test_files_that_do_not_fit(disk, tmp_path):
    where = f"sqlite:///{tmp_path}/runs.db?artifacts={disk.folder}"
    store, (first, second, *_) = opened(where)
    one_done_and_one_begun(store, first, second)
    before = sorted(disk.folder.rglob("*"))
    store.write(TrialDone(second, 1.0, LARGE))
    with pytest.raises(
        StoreError, match=r"\(80\d,\d{3} bytes\) could not be written to .*disk: the disk is full"
    ):
        store.flush()
    with pytest.raises(StoreError, match="the disk is full"):
        store.close()
    assert sorted(disk.folder.rglob("*")) == before  # half a file is no use to anybody
    disk.grow()
    again, (first, second, *_) = opened(where)
    assert of_weights(again.weights(first)) == of_weights(weights())
    assert (again[second].state, len(again[second].epochs)) == (TrialState.INTERRUPTED, 1)
    start(again, second)
    again.write(TrialDone(second, 1.0, LARGE))
    again.close()
    assert of_weights(again.weights(second)) == of_weights(LARGE)


def test_rows_that_do_not_fit(disk, tmp_path):
    path = disk.folder / "runs.db"
    where = f"sqlite:///{path}?artifacts={tmp_path}"
    store, (trial, *_) = opened(where)
    start(store, trial)
    run(store, trial, 0, 3, mae=1.0)
    store.flush()
    with pytest.raises(
        StoreError, match=r"the disk of .*runs\.db is full.*the same call continues from there"
    ):
        many(store, trial)
    with pytest.raises(StoreError, match="is full"):
        store.close()
    assert len(list(read(path, "a"))[0].epochs) >= 3  # while there is no room
    disk.grow()
    again, (trial, *_) = opened(where)
    epochs = again[trial].epochs
    assert [epoch for epoch, _ in epochs] == list(range(len(epochs)))
    assert all(list(logs) == ["loss", "mae"] for _, logs in epochs)
    start(again, trial, len(epochs))
    run(again, trial, len(epochs), 5000, mae=1.0)
    again.close()
    with sqlite3.connect(path) as plain:
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert plain.execute("SELECT count(*) FROM fairlane_epochs").fetchone() == (10_000,)
    plain.close()


def many(store, trial):
    for epoch in range(3, 50_000):
        store.write(EpochEnded(trial, epoch, {"loss": 1.0, "mae": 1.0}))
    store.flush()


def test_a_store_that_can_not_be_made(disk):
    disk.fill()
    with pytest.raises(StoreError, match=r"the disk of .*runs\.db is full"):
        written(disk.folder / "runs.db", "a", {}, {}, "auto")


@pytest.mark.slow
def test_a_study_goes_on_when_there_is_room_again(disk, tmp_path):
    def compare(*rates, **kept):
        return fl.compare(build, {"lr": rates}, X, Y, verbose=0, engine="reference", **FIT, **kept)

    def fill(trial):
        def on_train_begin(logs):
            if trial.number == 1 and not full.exists():
                full.touch()
                disk.fill()

        return [keras.callbacks.LambdaCallback(on_train_begin=on_train_begin)]

    full = tmp_path / "full"  # a file: what callbacks read and the study changes would be another request
    given = {"store": disk.folder / "runs.db", "name": "a", "callbacks": fill}
    with pytest.raises(StoreError, match=r"the disk (of .* )?is full") as failed:
        compare(0.1, 0.01, **given)
    assert full.exists()
    assert failed.value.study.trials["epochs"][0] == FIT["epochs"]
    disk.clear()
    with pytest.warns(fl.FairlaneWarning, match="an earlier call in this process, which trained"):
        study = compare(0.1, 0.01, **given)
    assert study.trials["state"].tolist() == ["done", "done"]
    alone = compare(0.01).history
    again = study.history.query("trial == 1").reset_index(drop=True).assign(trial=0)
    pd.testing.assert_frame_equal(again, alone)
    assert {path.suffix for path in Path(disk.folder).rglob("trial-*")} == {".safetensors"}
