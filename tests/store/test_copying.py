"""A study's copy: all that a store says of it, in any other store, whole or not at all."""

import contextlib
import math
import sqlite3
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from _stores import Place, finish, of_records, plan, run, save, start, weights

import fairlane as fl
from _trial import FIT, X, Y, build
from fairlane.errors import StoreError, StudyError
from fairlane.store import Decision, copied, delete, read, written
from fairlane.trials import Site, TrialDone, TrialFailed
from fairlane.trials import Tested as OnTestData

HERE = Site("a machine", "abc123")


@pytest.fixture
def original(lasting):
    """A study with trials in all states, logs of several kinds, and a search's decisions."""
    store, trials = lasting.open(
        plan(3, 2), spec={"model": "ü\x00"}, versions={"keras": "3"}, site=lambda: HERE
    )
    done, diverged, failed = trials[:3]
    for trial in trials[:5]:
        start(store, trial)
        run(store, trial, 0, 2, nan=math.nan, array=np.arange(3), text="\ud800")
        save(store, trial, 2)
    finish(store, done, memory={"callbacks": []})
    store.write(OnTestData(done, {"test_loss": 0.5}))
    store.write(TrialDone(diverged, 1.0, weights(2.0), ""))
    store.write(TrialFailed(failed, 2, "ValueError: no", "Traceback ..."))
    store.decide(Decision(["parameters"], {"count": 3}))
    store.flush()
    store.interrupt()
    store.close()
    return lasting


def everything(store, name):
    records = read(store, name)
    origin = records.origin()
    return (
        of_records(records),
        [records.description(record.trial) for record in records],
        [(one.about, one.content) for one in records.decisions()],
        (origin.spec, origin.versions, origin.created, records.sites()),
        records.notes,
    )


def files(folder):
    return sorted(
        path for path in Path(folder).rglob("*") if path.is_file() and path.suffix == ".safetensors"
    )


def test_a_copy_in_another_store_is_the_study(original, tmp_path):
    to = str(tmp_path / "other" / "copies.db")
    Path(to).parent.mkdir()
    before = everything(original.store, original.name)
    assert copied(original.store, original.name, to, "the copy") == 6
    assert everything(to, "the copy") == before == everything(original.store, original.name)
    delete(original.store, original.name)
    assert everything(to, "the copy") == before


def test_a_copy_in_the_same_store_shares_no_file_with_the_study(original):
    before, new = everything(original.store, original.name), uuid.uuid4().hex
    copied(original.store, original.name, original.store, new)
    delete(original.store, original.name)
    assert everything(original.store, new) == before
    copied(original.store, new, original.store, original.name)  # and back
    assert everything(original.store, original.name) == before


def test_a_copy_from_a_database_of_a_server_and_back(postgres_url, tmp_path):
    with Place(str(tmp_path / "runs.db"), uuid.uuid4().hex) as place:
        store, trials = place.open(plan())
        start(store, trials[0])
        run(store, trials[0], 0, 3)
        finish(store, trials[0])
    there = f"{postgres_url}&artifacts={tmp_path / 'files'}"
    copied(place.store, place.name, there)
    copied(there, place.name, tmp_path / "back.db")
    assert everything(str(tmp_path / "back.db"), place.name) == everything(place.store, place.name)


def test_trials_of_a_process_that_was_killed_are_interrupted(lasting, tmp_path, monkeypatch):
    from fairlane.store import lease

    store, trials = lasting.open(plan())
    start(store, trials[0])
    run(store, trials[0], 0, 1)
    store.flush()
    with pytest.raises(StoreError, match="is being trained by this process"):
        copied(lasting.store, lasting.name, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
    monkeypatch.setattr(lease.Writer, "alive", lambda writer, now: False)
    copied(lasting.store, lasting.name, tmp_path / "copy.db")
    with Place(str(tmp_path / "copy.db"), lasting.name) as copy:
        again, _ = copy.open(plan())
        assert [record.state for record in again] == ["interrupted", "waiting", "waiting", "waiting"]
        assert again.notes == []  # nobody has left it open


def test_processes_that_were_lost_are_not_copied(tmp_path):
    """They shared the study: the copy is trained by nobody."""
    place = Place(str(tmp_path / "runs.db"), "shared")
    store, _ = place.open(plan())
    store.close()
    counts = []
    for path in (tmp_path / "runs.db", tmp_path / "copy.db"):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            if path.name == "runs.db":
                connection.execute("INSERT INTO fairlane_sharers VALUES ('gone', 1, 'elsewhere', 7, '', 1.0)")
                connection.execute("INSERT INTO fairlane_leases VALUES (1, 'gone', 1)")
                connection.commit()
                copied(place.store, place.name, tmp_path / "copy.db")
            tables = ("fairlane_trials", "fairlane_sharers", "fairlane_leases")
            counts.append([connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables])
    trials = counts[0][0]
    assert counts == [[trials, 1, 1], [trials, 0, 0]]


def test_a_name_that_is_taken_is_refused(original, tmp_path):
    to = tmp_path / "copies.db"
    copied(original.store, original.name, to)
    before = files(tmp_path)
    with pytest.raises(
        StudyError, match=r"already a study .* does not replace it: give the copy another name"
    ):
        copied(original.store, original.name, to)
    assert files(tmp_path) == before
    with pytest.raises(StudyError, match="there is no study 'x' in"):
        copied(original.store, "x", tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def test_a_damaged_file_stops_the_copy_and_nothing_is_left(tmp_path):
    with Place(str(tmp_path / "runs.db"), "a") as place:
        store, trials = place.open(plan())
        for trial in trials:
            start(store, trial)
            run(store, trial, 0, 3)
            finish(store, trial)
    victim = files(tmp_path)[0]
    victim.write_bytes(b"\0" * victim.stat().st_size)
    there = [path.name for path in (*files(tmp_path), *tmp_path.glob("*.db"))]
    with pytest.raises(StoreError, match=r"its SHA-256 has changed\. Nothing was copied"):
        copied(place.store, "a", tmp_path / "copies.db")
    with pytest.raises(StoreError, match=r"Nothing was copied"):
        copied(place.store, "a", place.store, "b")
    assert [path.name for path in (*files(tmp_path), *tmp_path.glob("*.db"))] == there


def test_a_store_without_a_place_for_files_is_refused(original, tmp_path):
    place = "postgresql+psycopg://nobody@localhost/runs"
    with pytest.raises(StudyError, match="does not say where"):
        copied(original.store, original.name, place)
    written(tmp_path / "runs.db", "a", {}, {}, "auto").close()  # where there are no files to copy
    assert copied(tmp_path / "runs.db", "a", tmp_path / "copy.db") == 0


def test_a_copy_continues_as_the_study_would(tmp_path):
    store, to = tmp_path / "runs.db", tmp_path / "copy.db"
    short = {**FIT, "epochs": 2}
    call = {"seeds": 2, "verbose": 0}
    fl.compare(build, {"lr": [0.05]}, X, Y, store=store, name="a", **call, **short)
    copied(store, "a", to, "b")
    longer = fl.compare(build, {"lr": [0.05, 0.01]}, X, Y, store=to, name="b", **call, **FIT)
    whole = fl.compare(build, {"lr": [0.05, 0.01]}, X, Y, **call, **FIT)
    assert longer.trials["epochs"].tolist() == [4] * 4
    pd.testing.assert_frame_equal(longer.history, whole.history, rtol=1e-5)
    assert fl.open(store, "a").trials["epochs"].tolist() == [2, 2]
