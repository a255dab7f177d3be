"""Weights & Biases' offline files, read back with its own messages.

wandb has no reader of its files in Python any more, so the frame around its messages is taken off here: blocks of
32 KiB of LevelDB's log format after a header of 7 bytes.
"""

import json
import math
import os
import struct
import time
import zlib

import pytest
from _studies import HOSTILE, made_up, started, study_of, told, trials_of

import fairlane as fl
from fairlane.store import MemoryStore
from fairlane.trials import TrialDone

wandb = pytest.importorskip("wandb", reason="needs the extra 'wandb'")
wandb_internal_pb2 = pytest.importorskip("wandb.proto.wandb_internal_pb2")

BLOCK = 32768
FULL, FIRST, MIDDLE, LAST = range(1, 5)


def messages(path):
    data, at, part = path.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        crc, size, kind = struct.unpack("<IHB", data[at : at + 7])
        body = data[at + 7 : at + 7 + size]
        if len(body) < size:
            return  # not written to its end yet
        assert zlib.crc32(bytes([kind]) + body) == crc
        at += 7 + size
        part = body if kind in (FULL, FIRST) else part + body
        if kind in (FULL, LAST):
            message = wandb_internal_pb2.Record()
            message.ParseFromString(part)
            yield message


def values(items):
    """Key → value of wandb's items, each of them JSON."""
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def run_of(path):
    """What a run's file tells: the run, its configuration, history, summary and exit code."""
    found = {"history": [], "summary": {}, "config": {}}
    for message in messages(path):
        match message.WhichOneof("record_type"):
            case "run":
                found["run"] = message.run
                found["config"] |= values(message.run.config.update)
            case "history":
                row = {"_step": message.history.step.num} | values(message.history.item)
                found["history"].append(row)
            case "summary":
                found["summary"] |= values(message.summary.update)
            case "exit":
                found["exit"] = message.exit.exit_code
    return found


def runs(folder):
    """Every run under a folder, by the trial's number; wandb's own process ends a file just after ``finish``."""
    end = time.monotonic() + 60
    while True:
        found = [run_of(path) for path in folder.glob("wandb/offline-run-*/*.wandb")]
        if all("exit" in one for one in found):
            break
        assert time.monotonic() < end, found
        time.sleep(0.02)
    return {one["config"]["trial"]: one for one in found}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wandb")
    environment = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}
    mine = wandb.init(
        mode="offline", dir=str(folder / "mine"), settings=wandb.Settings(silent=True, console="off")
    )
    try:
        assert made_up().to_wandb("rates", dir=folder / "made" / "here") == 5
        assert wandb.run is mine  # the user's run stays active
    finally:
        mine.finish()
    assert {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"} == environment
    return runs(folder / "made" / "here")


def test_a_run_per_trial_in_a_group_of_the_studys_name(exported):
    assert sorted(exported) == [0, 1, 2, 3, 4]
    told_of = exported[2]["run"]
    assert (told_of.project, told_of.run_group, told_of.job_type) == ("rates", "sweep", "trial")
    assert told_of.display_name == "trial-002 optimizer.learning_rate=0.001 units=[8, 4] seed=0"


def test_hyperparameters_are_the_configuration(exported):
    config = {name: value for name, value in exported[0]["config"].items() if name != "_wandb"}
    assert config == {"optimizer.learning_rate": 0.1, "units": "[8, 4]", "seed": 0, "trial": 0}


def test_the_history_has_the_epoch_as_step(exported):
    rows = [(row["_step"], row["loss"], row["val_loss"]) for row in exported[0]["history"]]
    assert rows == [(0, 3.0, 4.0), (1, 2.0, 3.0), (2, 1.0, 2.0)]
    assert [row["loss"] for row in exported[3]["history"]] == [5.0]
    assert exported[4]["history"] == []


def test_nan_and_infinity_stay(exported):
    first, second, third = (row["loss"] for row in exported[1]["history"])
    assert first == 1.0
    assert math.isnan(float(second))  # wandb writes them as text or as numbers
    assert float(third) == math.inf


def test_every_run_says_how_the_trial_ended(exported):
    assert [exported[n]["exit"] for n in range(5)] == [0, 1, 1, 1, 1]
    summaries = [exported[n]["summary"] for n in range(5)]
    states = [one["fairlane/state"] for one in summaries]
    assert states == ["done", "diverged", "failed", "interrupted", "failed"]
    assert summaries[0]["test_loss"] == 1.25
    assert summaries[2]["fairlane/error"] == "ValueError: no more data"
    assert "fairlane/error" not in summaries[0]


def test_hostile_names_stay_in_the_folder(tmp_path):
    (trial,) = trials_of({HOSTILE: HOSTILE})
    store = MemoryStore([trial])
    for event in (started(trial), *told(trial, [1.0]), TrialDone(trial, 0.0, None)):
        store.write(event)
    assert study_of(store, HOSTILE).to_wandb(dir=tmp_path / "in") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert runs(tmp_path / "in")[0]["history"][0]["loss"] == 1.0


def test_another_mode_is_refused():
    with pytest.raises(fl.StudyError, match="mode must be 'offline' or 'online', not 'disabled'"):
        made_up().to_wandb(mode="disabled")
