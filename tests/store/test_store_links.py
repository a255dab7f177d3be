"""Links, and stores that are refused: nothing outside of a store's folders is read, written or deleted."""

import os
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from _stores import finish, of_weights, plan, run, save, start, weights

import fairlane as fl
from fairlane.errors import FairlaneError, StoreError
from fairlane.store import read, written
from fairlane.store.artifacts import Artifact, Artifacts, Damaged, new_folder

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")

X, Y = np.ones((8, 2), "float32"), np.ones((8, 1), "float32")


def build():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


@pytest.fixture
def runs(tmp_path):
    """A store with a study of a trial that is done and one with a checkpoint."""
    runs = str(tmp_path / "runs.db")
    store = written(runs, "a", {}, {}, "auto")
    first, second, *_ = store.adopt(plan(), [3] * 4)
    for trial in (first, second):
        start(store, trial)
        run(store, trial, 0, 1)
        save(store, trial, 1)
    finish(store, first)
    store.close()
    return runs


def moved(path, to):
    """Move a file or folder away, and leave a link to it; what lies there then."""
    shutil.move(path, to)
    path.symlink_to(to)
    return lambda: {p.relative_to(to): p.read_bytes() for p in [to, *to.rglob("*")] if p.is_file()}


@pytest.mark.parametrize("which", ["the study's folder", "the folder of all studies"])
def test_a_folder_that_is_a_link_is_refused_and_what_it_leads_to_left_alone(runs, tmp_path, which):
    folder = Path(runs).with_suffix(".artifacts")
    path = folder if which == "the folder of all studies" else next(folder.iterdir())
    outside = moved(path, tmp_path / "outside")
    stray = tmp_path / "outside" / f"trial-7-epoch-1-{'0' * 16}.safetensors"  # which a sweep would delete
    stray.write_bytes(b"precious")
    before = outside()
    words = rf"{path.name} is a symbolic link.*does not follow it.*\?artifacts="
    with pytest.raises(StoreError, match=words):
        written(runs, "a", {}, {}, "auto")
    records = read(runs, "a")
    with pytest.raises(StoreError, match=words):
        records.weights(next(iter(records)).trial)
    assert outside() == before
    assert len(records) == 4
    path.unlink()
    shutil.move(tmp_path / "outside", path)
    written(runs, "a", {}, {}, "auto").close()
    records = read(runs, "a")
    assert of_weights(records.weights(next(iter(records)).trial)) == of_weights(weights())


def test_a_file_that_is_a_link_counts_as_gone(runs, tmp_path):
    outside = {}
    for path in Path(runs).with_suffix(".artifacts").rglob("*.safetensors"):
        to = tmp_path / f"outside-{path.name}"
        outside[to] = path.read_bytes()
        shutil.move(path, to)
        path.symlink_to(to)
    records = read(runs, "a")
    with pytest.raises(StoreError, match="is a symbolic link"):
        records.weights(next(iter(records)).trial)
    store = written(runs, "a", {}, {}, "auto")
    assert "the file with the weights of trial 0" in store.notes[0]
    trials = store.adopt(plan(), [3] * 4)
    assert store.unfinished(trials[0])
    for trial in trials[:2]:
        start(store, trial)
        run(store, trial, 0, 1)
        finish(store, trial)
    store.close()
    assert {path: path.read_bytes() for path in outside} == outside


def test_a_link_in_the_place_of_a_file_to_be_written_is_not_followed(tmp_path):
    files = Artifacts(tmp_path / "files", new_folder())
    files.prepare()
    artifact, precious = Artifact.of(1, 2, b"abc"), tmp_path / "precious"
    precious.write_bytes(b"precious")
    for end in ("", ".part"):
        path = Path(f"{files._path(artifact)}{end}")
        path.symlink_to(precious)
        with pytest.raises(Damaged, match="is a symbolic link"):
            files.write(artifact, b"abc")
        files.delete([artifact])
        assert precious.read_bytes() == b"precious"
        path.unlink()
    files.write(artifact, b"abc")
    assert files.read(artifact) == b"abc"


REFUSED = {
    "a root": "/",
    "a folder": "folder",
    "this folder": ".",
    "no such folder": "no/such/folder/runs.db",
    "a name that is too long": "x" * 300,
    "a NUL": "a\0b",
    "half a surrogate pair": "\ud800.db",
    "the folder for files": "x.artifacts",
    "a URL of a root": "sqlite:////",
    "a URL of a folder": "sqlite:///folder",
    "an unknown filesystem": "sqlite:///runs.db?artifacts=nowhere://x",
    "files in a file": "sqlite:///runs.db?artifacts=file/x",
    "files where nobody may write": "sqlite:///runs.db?artifacts=/proc/nowhere",
    "files beside it, where a file is": "taken.db",
    "files beside it, where a link is": "linked.db",
    "a device": "/dev/full",
}


@pytest.mark.parametrize("store", REFUSED.values(), ids=REFUSED)
def test_a_refused_store_leaves_nothing_behind(tmp_path, monkeypatch, store):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").write_text("precious")
    Path("taken.artifacts").write_text("precious")
    Path("linked.artifacts").symlink_to("folder")
    before = sorted(map(str, tmp_path.rglob("*")))
    with pytest.raises(FairlaneError):
        fl.compare(build, [{}], X, Y, verbose=0, store=store, name="a")
    for reading in (lambda: fl.open(store, "a"), lambda: fl.studies(store)):
        with pytest.raises(FairlaneError):
            reading()
    assert sorted(map(str, tmp_path.rglob("*"))) == before


@pytest.mark.parametrize("name", ["", "x" * 201, 7])
def test_a_refused_name_leaves_nothing_behind(tmp_path, name):
    with pytest.raises(FairlaneError):
        fl.compare(build, [{}], X, Y, verbose=0, store=tmp_path / "runs.db", name=name)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_study_leaves_the_others_of_its_store(runs, tmp_path, monkeypatch):
    def refused(self):
        raise StoreError("no room")

    monkeypatch.setattr(Artifacts, "prepare", refused)
    for store, there in ((runs, ["a"]), (str(tmp_path / "other.db"), None)):
        with pytest.raises(StoreError, match="no room"):
            written(store, "b", {}, {}, "auto")
        if there is None:
            assert not list(tmp_path.glob("other.db*"))
        else:
            assert fl.studies(store)["study"].tolist() == there


def test_trials_may_be_adopted_in_several_calls(place):
    store, first = place.open(plan(1, 2))
    again = store.adopt(plan(1, 2), [3, 3])
    if place.store is not None:
        assert [a is b for a, b in zip(first, again, strict=True)] == [True, True]
    more = store.adopt(plan(2, 2), [3] * 4)[2:]
    for trial in (*again, *more):
        start(store, trial)
        run(store, trial, 0, 1)
        finish(store, trial)
    store.close()
    if place.store is not None:
        assert [str(record.state) for record in place.read()] == ["done"] * 4
        assert [record.trial.number for record in place.read()] == [0, 1, 2, 3]
