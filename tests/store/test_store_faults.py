"""What goes wrong with stores, one test each: the words, and that what was stored before is whole."""

import json
import os
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from _stores import (
    MEMORY,
    finish,
    of_records,
    of_weights,
    one_done_and_one_begun,
    plan,
    run,
    save,
    start,
    until,
    weights,
)
from fsspec.implementations.memory import MemoryFileSystem

import _processes
from fairlane.errors import StoreError, StudyError
from fairlane.store import database as databases
from fairlane.store import lease, read, written
from fairlane.trials import EpochEnded, Site, State, TrialState, Weights

TESTS = Path(__file__).parent


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(databases, "PATIENCE", 0.2)


@pytest.fixture
def runs(tmp_path):
    return str(tmp_path / "runs.db")


def opened(runs, name="a", planned=None, epochs=3, **changed):
    planned = planned or plan()
    asked = {"spec": {}, "versions": {}, "resume": "auto", **changed}
    store = written(runs, name, **asked)
    return store, store.adopt(planned, [epochs] * len(planned))


def files_of(runs):
    return sorted(path for path in Path(runs).with_suffix(".artifacts").rglob("*") if path.is_file())


@contextmanager
def process(code, *arguments):
    """A Python of its own, killed in the end; its first line is its number."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    child = _processes.start(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert _processes.line(child).strip() == "ready"
        yield child
    finally:
        child.kill()
        child.communicate(timeout=60)


# --- the disk is full ---


@contextmanager
def largest_file(size):
    """No file may grow beyond this, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_under_the_files(runs):
    store, (first, second, *_) = opened(runs)
    one_done_and_one_begun(store, first, second)
    large = Weights(State([weights().state.trainable[0].repeat(100_000)], [], [], []))
    with largest_file(1_000_000):
        finish_large(store, second, large)
        with pytest.raises(
            StoreError, match=r"bytes\) could not be written to .*artifacts: the disk is full"
        ):
            store.flush()
    with pytest.raises(StoreError, match="the disk is full"):
        store.close()
    assert not [path for path in files_of(runs) if path.name.endswith(".part")]
    again, (first, second, *_) = opened(runs)
    assert again[first].state is TrialState.DONE
    assert of_weights(again.weights(first)) == of_weights(weights())
    assert again[second].state is TrialState.INTERRUPTED
    assert len(again[second].epochs) == 1
    again.close()


def finish_large(store, trial, large):
    from fairlane.trials import TrialDone

    store.write(TrialDone(trial, 1.0, large))


def test_a_full_disk_under_the_database(runs):
    store, (trial, *_) = opened(runs, epochs=10_000)
    start(store, trial)
    run(store, trial, 0, 3, mae=1.0)
    store.flush()
    size = max(os.path.getsize(path) for path in (runs, f"{runs}-wal"))
    with largest_file(size + 8192):
        with pytest.raises(
            StoreError, match=r"the disk of .*runs\.db is full.*the same call continues from there"
        ):
            write_many(store, trial)
        with pytest.raises(StoreError, match="is full"):
            store.write(EpochEnded(trial, 5000, {"loss": 1.0}))
    with pytest.raises(StoreError, match="is full"):
        store.close()
    with sqlite3.connect(runs) as plain:
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    plain.close()
    again, (trial, *_) = opened(runs)
    assert [logs for _, logs in again[trial].epochs[:3]] == [
        {"loss": 1.0, "mae": 1.0},
        {"loss": 0.5, "mae": 1.0},
        {"loss": 1 / 3, "mae": 1.0},
    ]
    assert all(list(logs) == ["loss", "mae"] for _, logs in again[trial].epochs)
    again.close()


def write_many(store, trial):
    for epoch in range(3, 5000):
        store.write(EpochEnded(trial, epoch, {"loss": 1.0, "mae": 1.0}))
    store.flush()


# --- locks and lost connections ---

HOLD_THE_LOCK = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("ready", flush=True)
sys.stdin.readline()
held.execute("ROLLBACK")
print("released", flush=True)
"""


def test_a_database_that_stays_locked(runs, impatient):
    store, (trial, *_) = opened(runs)
    start(store, trial)
    run(store, trial, 0, 1)
    store.flush()
    with process(HOLD_THE_LOCK, runs):
        run(store, trial, 1, 2)
        with pytest.raises(
            StoreError, match=r"another process has locked .*runs\.db for more than 0\.2 s: end it"
        ):
            store.flush()
        with pytest.raises(StoreError, match="another process has locked"):
            written(runs, "b", {}, {}, "auto")
        assert len(list(read(runs, "a"))[0].epochs) == 1  # which reading is not in the way of
        with pytest.raises(StoreError, match="has locked"):
            store.close()
    again, (trial, *_) = opened(runs)  # though the store could not be told that its writer has let go
    assert again.notes == [
        "an earlier call in this process, which trained the study 'a', ended without closing it; training "
        "continues from what was stored"
    ]
    assert len(again[trial].epochs) == 1
    again.close()


def test_a_lock_that_passes_costs_nothing(runs, monkeypatch):
    monkeypatch.setattr(databases, "_ONE_WAIT", 0.01)
    store, (trial, *_) = opened(runs)
    start(store, trial)
    with process(HOLD_THE_LOCK, runs) as other:
        run(store, trial, 0, 3)
        store._committer._hurry = True
        tries = wait_for_a_second_try(store, monkeypatch)
        other.stdin.write("\n")
        other.stdin.flush()
        assert _processes.line(other).strip() == "released"
    store.flush()
    assert tries
    assert len(list(read(runs, "a"))[0].epochs) == 3
    assert store.notes == [f"{runs} was locked or not available for a while; nothing was lost"]
    store.close()


def wait_for_a_second_try(store, monkeypatch):
    """Return when a commit has failed once."""
    import threading

    waited = threading.Event()
    real = databases.time.sleep
    monkeypatch.setattr(databases.time, "sleep", lambda seconds: (waited.set(), real(0.01)))
    assert waited.wait(60)
    return True


@pytest.fixture
def server(postgres_url, tmp_path):
    return f"{postgres_url}&artifacts={tmp_path / 'files'}"


@pytest.fixture
def admin(postgres_url):
    engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


def test_a_server_that_drops_the_connection_between_two_batches(server, admin, request):
    store, (trial, *_) = opened(server, request.node.name)
    start(store, trial)
    run(store, trial, 0, 2)
    store.flush()
    admin.execute(sa.text(OTHERS))
    run(store, trial, 2, 4)
    finish(store, trial)
    store.flush()
    assert of_records(read(server, request.node.name)) == of_records(store)
    store.close()


def test_a_server_that_drops_the_connection_in_a_transaction(server, admin, postgres_url, request):
    store, (trial, *_) = opened(server, request.node.name)
    start(store, trial)
    store.flush()
    blocking = sa.create_engine(postgres_url)
    with blocking.connect() as other:
        other.execute(sa.text("LOCK TABLE fairlane_epochs"))
        run(store, trial, 0, 3)  # the batch has updated the study's row when it comes to wait
        until(lambda: admin.execute(sa.text(WAITING)).scalar())
        mine = other.execute(sa.text("SELECT pg_backend_pid()")).scalar()
        admin.execute(sa.text(f"{OTHERS} AND pid <> {mine}"))
    blocking.dispose()
    store.flush()
    assert len(list(read(server, request.node.name))[0].epochs) == 3
    assert len(store.notes) == 1
    assert "was locked or not available for a while; nothing was lost" in store.notes[0]
    store.close()


def test_a_server_that_is_gone_and_comes_back(server, postgres, request, monkeypatch):
    store, (trial, *_) = opened(server, request.node.name)
    start(store, trial)
    store.flush()
    postgres.stop()
    run(store, trial, 0, 2)
    assert wait_for_a_second_try(store, monkeypatch)
    postgres.start()
    store.flush()
    assert len(list(read(server, request.node.name))[0].epochs) == 2
    store.close()


FULL = """
    CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
    CREATE TRIGGER full_disk BEFORE INSERT ON fairlane_epochs EXECUTE FUNCTION full_disk();
"""


def test_a_server_whose_disk_is_full(server, admin, request):
    """The server's own error, with its own number, but made by a trigger."""
    store, (trial, *_) = opened(server, request.node.name)
    start(store, trial)
    run(store, trial, 0, 2)
    store.flush()
    admin.execute(sa.text(FULL))
    try:
        run(store, trial, 2, 3)
        with pytest.raises(
            StoreError, match=r"(?s)the disk of postgresql.* is full.*could not extend file.*continues"
        ):
            store.flush()
        with pytest.raises(StoreError, match="is full"):
            store.close()
    finally:
        admin.execute(sa.text("DROP FUNCTION full_disk CASCADE"))
    again, (trial, *_) = opened(server, request.node.name)
    assert [epoch for epoch, _ in again[trial].epochs] == [0, 1]
    again.close()


def test_a_server_that_is_not_there(tmp_path, impatient):
    url = f"postgresql+psycopg://me:secret@127.0.0.1:1/db?artifacts={tmp_path}"
    with pytest.raises(
        StoreError, match=r"no connection to postgresql\+psycopg://me:\*\*\*@127.0.0.1:1"
    ) as failed:
        written(url, "a", {}, {}, "auto")
    assert "secret" not in str(failed.value)


# --- damaged files ---


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "truncated": truncate,
    "flipped": flip,
    "emptied": lambda p: p.write_bytes(b""),
    "gone": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(runs, damage):
    store, (trial, *_) = opened(runs)
    start(store, trial)
    for epoch in (1, 2, 3):
        run(store, trial, epoch - 1, epoch)
        save(store, trial, epoch)
    store.flush()
    assert len(files_of(runs)) == 2
    (newest,) = [path for path in files_of(runs) if "-epoch-3-" in path.name]
    damage(newest)
    found = store.checkpoint(trial)
    assert found.epoch == 2
    assert of_weights(found.weights) == of_weights(weights(2))
    (note,) = store.notes
    assert note.startswith(
        "the checkpoint of trial 0 (lr=0.1, units=0, seed 0) after 3 epochs can't be used: "
    )
    assert newest.name in note
    assert note.endswith("the one before is used")
    store.close()


@pytest.fixture
def afar(tmp_path):
    """A store whose files are in a filesystem that is none of the machine's, and what it finds of them."""
    folder = f"/{uuid.uuid4().hex}"
    yield f"sqlite:///{tmp_path}/runs.db?artifacts=memory:/{folder}", lambda: sorted(AFAR.find(folder))
    AFAR.rm(folder, recursive=True)


AFAR = MemoryFileSystem()


def test_files_afar_are_checked_and_swept_like_those_of_the_machine(afar):
    runs, files = afar
    store, (trial, other, *_) = opened(runs)
    start(store, trial)
    for epoch in (1, 2, 3):
        run(store, trial, epoch - 1, epoch)
        save(store, trial, epoch)
    start(store, other)
    finish(store, other)
    store.flush()
    before, newest, end = files()
    AFAR.pipe_file(newest, AFAR.cat_file(newest)[:-1])
    assert store.checkpoint(trial).epoch == 2
    assert re.search("epoch-3-.* were written; the one before is used$", store.notes[0])
    store.close()
    orphan = "trial-1-epoch-1-0123456789abcdef.safetensors.part"
    AFAR.pipe_file(f"{before.rpartition('/')[0]}/{orphan}", b"x")
    AFAR.rm_file(end)
    again, (trial, other, *_) = opened(runs)
    assert files() == [before, newest]
    assert again.unfinished(other)
    assert again.checkpoint(trial).epoch == 2
    again.close()


def test_a_file_afar_that_can_not_be_renamed_is_an_error_and_no_rubbish(afar, monkeypatch):
    def refuse(self, *_, **__):
        raise PermissionError("no such right")

    runs, files = afar
    store, (trial, *_) = opened(runs)
    start(store, trial)
    monkeypatch.setattr(MemoryFileSystem, "mv", refuse)
    finish(store, trial)
    with pytest.raises(StoreError, match=r"could not be written to memory://.*: no such right"):
        store.flush()
    with pytest.raises(StoreError, match="no such right"):
        store.close()
    assert files() == []


def test_asking_for_the_checkpoint_of_a_new_trial_does_not_wait_for_the_disk(runs, monkeypatch):
    store, planned = opened(runs)
    start(store, planned[0])
    save(store, planned[0], 1)
    waits = []
    flush = type(store).flush
    monkeypatch.setattr(type(store), "flush", lambda self: waits.append(1) or flush(self))
    assert [store.checkpoint(trial) for trial in planned[1:]] == [None] * 3
    assert waits == []
    assert store.checkpoint(planned[0]).epoch == 1
    assert waits == [1]
    store.close()


def test_where_all_checkpoints_are_damaged_there_is_none(runs):
    store, (trial, *_) = opened(runs)
    start(store, trial)
    run(store, trial, 0, 1)
    save(store, trial, 1)
    store.flush()
    flip(files_of(runs)[0])
    assert store.checkpoint(trial) is None
    assert store.notes[0].endswith("there is no earlier one, so the trial starts again")
    store.close()


def test_damaged_weights_are_an_error_that_names_the_file(runs):
    store, (trial, *_) = opened(runs)
    start(store, trial)
    finish(store, trial)
    store.close()
    flip(files_of(runs)[0])
    with pytest.raises(
        StoreError, match=r"the weights of trial 0 .* its SHA-256 has changed\. Its history is not"
    ):
        store.weights(trial)


def test_a_trial_whose_weights_are_gone_is_trained_again(runs):
    store, (trial, other, *_) = opened(runs)
    for one in (trial, other):
        start(store, one)
        finish(store, one)
    store.close()
    next(path for path in files_of(runs) if "trial-0-" in path.name).unlink()
    again, (trial, other, *_) = opened(runs)
    assert again.unfinished(trial)
    assert not again.unfinished(other)
    assert again.notes == [
        "the file with the weights of trial 0 (lr=0.1, units=0, seed 0) is missing or incomplete, so it is "
        "trained again"
    ]
    start(again, trial)
    finish(again, trial)
    assert again.weights(trial) is not None
    again.close()


def test_files_that_no_row_tells_of_are_swept_and_others_left(runs):
    store, (trial, *_) = opened(runs)
    start(store, trial)
    finish(store, trial)
    store.close()
    (kept,) = files_of(runs)
    orphans = [
        "trial-0-epoch-1-0123456789abcdef.safetensors",
        "trial-1-epoch-1-0123456789abcdef.safetensors.part",
    ]
    for name in [*orphans, "my notes.txt"]:
        kept.with_name(name).write_bytes(b"x")
    opened(runs)[0].close()
    assert files_of(runs) == sorted([kept, kept.with_name("my notes.txt")])


# --- killed processes, and two at once ---

TRAIN = """
import sys
from _stores import Place, plan, run, save, start
place = Place(sys.argv[1], "a")
store, trials = place.open(plan(), epochs=10**6)
for trial in trials:
    start(store, trial)
    run(store, trial, 0, 10, mae=1.0, val_loss=2.0)
    save(store, trial, 10)
store.flush()
print("ready", flush=True)
epoch = 10
while True:
    for trial in trials:
        run(store, trial, epoch, epoch + 1, mae=1.0, val_loss=2.0)
        if epoch % 5 == 0:
            save(store, trial, epoch + 1)
    epoch += 1
"""


def test_a_killed_process_loses_nothing_that_was_stored_and_repeats_nothing(runs):
    with process(TRAIN, runs) as other:
        until(lambda: len(list(read(runs, "a"))[0].epochs) >= 20)  # more than was flushed
        assert list(read(runs, "a"))[0].state is TrialState.RUNNING
        with pytest.raises(StoreError, match="is being trained by process") as refused:
            opened(runs)
        assert f"process {other.pid} on {socket.gethostname()}: wait for it, end it" in str(refused.value)
        os.kill(other.pid, signal.SIGKILL)
        other.wait(60)
    assert {record.state for record in read(runs, "a")} == {TrialState.INTERRUPTED}
    store, trials = opened(runs)
    assert store.notes == [
        f"process {other.pid} on {socket.gethostname()}, which trained the study 'a', ended without closing it; "
        "training continues from what was stored"
    ]
    for trial in trials:
        epochs = store[trial].epochs
        assert [epoch for epoch, _ in epochs] == list(range(len(epochs)))
        assert len(epochs) >= 10
        assert all(list(logs) == ["loss", "mae", "val_loss"] for _, logs in epochs)
        found = store.checkpoint(trial)
        assert found.epoch >= 10
        assert of_weights(found.weights) == of_weights(weights(found.epoch))
    assert len(store.notes) == 1
    store.close()


@pytest.mark.slow
def test_kills_in_the_midst_of_writing_lose_nothing_that_was_stored(lasting):
    program = TESTS / "_killing.py"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    done = _processes.run(
        [sys.executable, str(program), lasting.store, lasting.name, "3"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["complaints"] == []
    assert min(told["places"][place] for place in ("file", "rows", "commit")) >= 3
    (first, *_) = lasting.read()
    assert len(first.epochs) == told["epochs"]


def test_a_study_can_not_be_opened_twice_by_one_process(lasting):
    store, _ = lasting.open(plan())
    with pytest.raises(
        StoreError, match="is being trained by this process: wait for it, end it, or give another"
    ):
        lasting.open(plan())
    store.close()
    lasting.open(plan())[0].close()


def test_another_study_of_the_same_store_is_free(lasting):
    lasting.open(plan())
    other, (trial, *_) = lasting.open(plan(), name="-2")
    start(other, trial)
    other.flush()
    assert [str(r.state) for r in lasting.read("-2")][0] == "running"
    assert [str(r.state) for r in lasting.read()][0] == "waiting"


def elsewhere(runs, heartbeat):
    """Let the study be written by a process on another machine."""
    with sqlite3.connect(runs) as plain:
        plain.execute(
            "UPDATE fairlane_studies SET writer = 'x', writer_host = 'far', writer_pid = 7, "
            "writer_place = 'boot/pid 1', heartbeat = ?",
            (heartbeat,),
        )
    plain.close()


def test_a_writer_on_another_machine_is_believed_until_it_is_silent(runs, monkeypatch):
    opened(runs)[0].close()
    elsewhere(runs, 1000.0)
    monkeypatch.setattr(lease.time, "time", lambda: 1000.0 + lease.SILENCE - 1)
    with pytest.raises(
        StoreError, match=r"by process 7 on far: .* Its last sign of life was 59 s ago; .* after 60 s without"
    ):
        opened(runs)
    monkeypatch.setattr(lease.time, "time", lambda: 1000.0 + lease.SILENCE)
    store, _ = opened(runs)
    assert store.notes[0].startswith(
        "process 7 on far, which trained the study 'a', ended without closing it"
    )
    store.close()


def test_where_processes_can_not_be_looked_for_the_refusal_says_how_long_to_wait(runs, monkeypatch):
    monkeypatch.setattr(lease, "_machine", lambda: "")  # as on macOS and Windows
    store, _ = opened(runs)
    with pytest.raises(StoreError, match=r"by this process.* Its last sign of life was 0 s ago"):
        opened(runs)
    store.close()


def test_a_writer_that_was_taken_for_dead_writes_no_more(runs):
    store, (trial, *_) = opened(runs)
    start(store, trial)
    store.flush()
    elsewhere(runs, 0.0)
    run(store, trial, 0, 1)
    with pytest.raises(StoreError, match="another process has taken over the study 'a'"):
        store.flush()
    with pytest.raises(StoreError, match="taken over"):
        store.close()
    assert list(read(runs, "a"))[0].epochs == []
    opened(runs)[0].close()


# --- places that can't be ---


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(
        StoreError, match=r"the folder .*nowhere does not exist, so no store can be made in it"
    ):
        opened(str(tmp_path / "nowhere" / "runs.db"))
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes" * 100)
    for act in (lambda: opened(str(path)), lambda: read(path, "a")):
        with pytest.raises(StoreError, match=r"notes\.txt is not a SQLite database, or it is damaged"):
            act()
    assert path.read_text() == "these are my notes" * 100
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_databases_place(tmp_path):
    with pytest.raises(
        StoreError, match=r"is a folder, and a store is a file: give a path such as .*runs\.db"
    ):
        opened(str(tmp_path))


def test_nothing_is_made_where_one_only_reads(tmp_path):
    with pytest.raises(StoreError, match=r"there is no store at .*runs\.db"):
        read(str(tmp_path / "runs.db"), "a")
    assert not list(tmp_path.iterdir())


def test_a_database_of_something_else_has_no_studies(runs):
    with sqlite3.connect(runs) as plain:
        plain.execute("CREATE TABLE mine (x)")
        plain.execute("INSERT INTO mine VALUES (1)")
    plain.close()
    with pytest.raises(StoreError, match="is a database that holds no studies of Fairlane"):
        read(runs, "a")
    opened(runs)[0].close()  # beside which studies may be kept
    with sqlite3.connect(runs) as plain:
        assert plain.execute("SELECT x FROM mine").fetchall() == [(1,)]
    plain.close()


def test_tables_of_a_newer_version_are_refused(runs):
    opened(runs)[0].close()
    with sqlite3.connect(runs) as plain:
        plain.execute("UPDATE fairlane_version SET version_num = 'v999'")
    plain.close()
    for act in (lambda: opened(runs), lambda: read(runs, "a")):
        with pytest.raises(
            StoreError, match=r"newer version of Fairlane \(its tables are 'v999'.*pip install -U"
        ):
            act()


READ_ONLY = """
import os, sys
from fairlane.errors import StoreError
from fairlane.store import read, written
written(sys.argv[2], "a", {}, {}, "auto").close()
list(read(sys.argv[2], "a"))  # all that is imported must be so before root gives up its rights
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
print("ready", flush=True)
print(len(list(read(sys.argv[1], "a"))[0].epochs), flush=True)
try:
    written(sys.argv[1], "a", {}, {}, "auto")
except StoreError as error:
    print(error, flush=True)
"""


def test_a_folder_that_can_not_be_written_can_be_read(tmp_path):
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp())  # not pytest's, which other users may not enter
    runs = str(folder / "runs.db")
    store, (trial, *_) = opened(runs)
    start(store, trial)
    run(store, trial, 0, 2)
    store.close()
    os.chmod(runs, 0o444)
    os.chmod(folder, 0o555)
    try:
        with process(READ_ONLY, runs, tmp_path / "other.db") as other:
            assert _processes.line(other).strip() == "2"
            assert "runs.db can't be written" in _processes.line(other)
    finally:
        os.chmod(folder, 0o755)
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    "name", ["a b.db", "what?.db", "per%20cent#.db", "ü.db", "no suffix", "file:x.db", "a::b.db"]
)
def test_any_file_name_will_do(tmp_path, name):
    runs = str(tmp_path / name)
    store, (trial, *_) = opened(runs)
    start(store, trial)
    finish(store, trial)
    store.close()
    assert (tmp_path / name).is_file()
    records = read(runs, "a")
    assert records.weights(next(iter(records)).trial) is not None
    files = Path(runs).with_suffix(".artifacts")
    besides = {f"{name}-wal", f"{name}-shm"}  # SQLite's, which a reader may leave
    assert {path.name for path in tmp_path.iterdir()} - besides == {name, files.name}


@pytest.mark.parametrize("store", [None, 3, "", ":memory:", "sqlite://", b"runs.db"])
def test_what_is_no_place_is_refused(store):
    with pytest.raises(StudyError):
        written(store, "a", {}, {}, "auto")


@pytest.mark.parametrize("url", ["mysql://me@host/db", "nonsense://x", "postgresql://host:port/db"])
def test_a_url_of_something_else_is_refused(url, tmp_path):
    with pytest.raises((StoreError, StudyError)):
        written(f"{url}?artifacts={tmp_path}", "a", {}, {}, "auto")


def test_a_server_needs_to_be_told_where_files_go(postgres_url):
    with pytest.raises(
        StudyError, match=r"does not say where: add a folder or an fsspec URL to it, \?artifacts="
    ):
        written(postgres_url, "a", {}, {}, "auto")


def test_the_error_about_missing_places_shows_no_password():
    with pytest.raises(StudyError, match=r"me:\*\*\*@far/x' does not say where") as failed:
        written("postgresql+psycopg://me:secret@far/x", "a", {}, {}, "auto")
    assert "secret" not in str(failed.value)


@pytest.mark.parametrize("name", [None, "", "  ", 3])
def test_a_study_needs_a_name(runs, name):
    with pytest.raises(StudyError, match="needs a name, to be found again"):
        written(runs, name, {}, {}, "auto")


# --- another study of the same name ---


def test_what_was_asked_otherwise_is_refused_with_the_lines_that_changed(lasting):
    lasting.open(plan(), spec={"model": {"build": "def build():\n    return 0"}})[0].close()
    # nothing was trained, so nothing is in the way of another builder
    store, (trial, *_) = lasting.open(plan(), spec={"model": {"build": "def build():\n    return 1"}})
    start(store, trial)
    store.close()
    with pytest.raises(StudyError) as refused:
        lasting.open(plan(), spec={"model": {"build": "def build():\n    return 2"}})
    words = str(refused.value)
    assert "was trained for another request" in words
    assert "model, build:\n    -     return 1\n    +     return 2\n" in words
    assert words.endswith(
        "Give the study another name; or, if the change makes no difference, resume='force'"
    )
    forced, _ = lasting.open(plan(), spec={"model": {"build": "def build():\n    return 2"}}, resume="force")
    forced.close()
    lasting.open(plan(), spec={"model": {"build": "def build():\n    return 2"}})[0].close()


def test_never_resuming_refuses_a_study_that_is_there(lasting):
    lasting.open(plan(), resume="never")[0].close()
    with pytest.raises(StudyError, match="exists already, and resume='never': give another name"):
        lasting.open(plan(), resume="never")


def test_another_version_of_a_package_is_noted(lasting):
    lasting.open(plan(), versions={"keras": "3.13"})[0].close()
    store, _ = lasting.open(plan(), versions={"keras": "3.14", "jax": "1"})
    assert len(store.notes) == 1
    assert "was begun with keras 3.13, and continues with 3.14" in store.notes[0]


# --- machines and commits ---


def trained(lasting, site, epoch):
    """An epoch by a process of that machine and commit."""
    store, (trial, *_) = lasting.open(plan(), site=lambda: site)
    start(store, trial, epoch)
    run(store, trial, epoch, epoch + 1)
    store.close()
    return store.sites()


def test_a_study_that_is_gone_on_with_elsewhere_tells_all_machines_and_commits(lasting):
    first, later = Site("one", "abc"), Site("one", "def, with changes that were not committed")
    trained(lasting, first, 0)
    trained(lasting, later, 1)
    assert trained(lasting, first, 2) == [first, later]  # each once
    assert trained(lasting, Site("two", "abc"), 3) == [first, later, Site("two", "abc")]
    assert lasting.read().origin().sites == [first, later, Site("two", "abc")]


def test_who_asks_for_a_study_and_trains_nothing_is_not_told(lasting):
    trained(lasting, Site("one", "abc"), 0)
    store, _ = lasting.open(plan(), site=lambda: pytest.fail("nobody needs to know"))
    store.close()
    assert lasting.read().sites() == [Site("one", "abc")]


# --- trials that are asked for again ---


def test_trials_are_found_again_by_their_hyperparameters_and_seed(lasting):
    store, trials = lasting.open(plan(2, 1))
    for trial in trials:
        start(store, trial)
        finish(store, trial, trial.number, MEMORY)
    store.close()
    store, trials = lasting.open(plan(3, 2)[::-1])
    by_spec = {(t.variant.hyperparameters["units"], t.seed): t.number for t in trials}
    assert (by_spec[0, 0], by_spec[1, 0]) == (0, 1)
    assert sorted(by_spec.values()) == list(range(6))
    assert {t.number for t in trials if not store.unfinished(t)} == {0, 1}
    assert [record.trial.number for record in store] == list(range(6))
    assert len({t.variant.number for t in trials}) == 3


@pytest.mark.parametrize(
    ("trained", "asked", "more"), [(3, 5, True), (3, 3, False), (3, 2, False), (2, 5, False)]
)
def test_more_epochs_are_trained_where_a_trial_was_not_stopped_early(lasting, trained, asked, more):
    store, (trial, *_) = lasting.open(plan(), epochs=3)
    start(store, trial)
    run(store, trial, 0, trained)
    finish(store, trial)
    store.close()
    for _ in range(2):  # asking alone changes nothing
        store, (trial, *_) = lasting.open(plan(), epochs=asked)
        assert store.unfinished(trial) is more
        assert store[trial].state is TrialState.DONE
        store.close()


def test_hyperparameters_that_are_objects_are_found_again(lasting):
    from fairlane.trials import Trial, Variant

    def planned():
        values = [{"f": len}, {"f": lambda x: x + 1}, {"f": lambda x: x + 2}, {"f": [len, 1.0]}]
        return [Trial(i, Variant(i, v), 0) for i, v in enumerate(values)]

    lasting.open(planned())[0].close()
    store, trials = lasting.open(planned())
    assert [t.number for t in trials] == [0, 1, 2, 3]
    assert len(store) == 4
    shown = [repr(r.trial.variant.hyperparameters["f"]) for r in lasting.read()]
    assert shown == ["len", "<lambda>", "<lambda>", "[<built-in function len>, 1.0]"]
    store.close()


def test_the_tables_are_those_of_the_migrations(runs, postgres_url, request):
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    from fairlane.store.tables import VERSION_TABLE, metadata

    opened(runs)[0].close()
    opened(f"{postgres_url}&artifacts={Path(runs).parent}", request.node.name)[0].close()
    for url in (f"sqlite:///{runs}", postgres_url):
        engine = sa.create_engine(url)
        with engine.connect() as connection:
            context = MigrationContext.configure(
                connection,
                opts={
                    "version_table": VERSION_TABLE,
                    "include_object": lambda thing, name, kind, *_: (
                        kind != "table" or name.startswith("fairlane")
                    ),
                },
            )
            assert compare_metadata(context, metadata) == []
        engine.dispose()


def test_the_specs_of_rows_are_json(runs):
    opened(runs, spec={"é": "\ud800\0"})[0].close()
    with sqlite3.connect(runs) as plain:
        ((text,),) = plain.execute("SELECT spec FROM fairlane_studies").fetchall()
    plain.close()
    assert json.loads(text) == {"é": "\ud800\0"}
