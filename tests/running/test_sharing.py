"""``workers=fl.Shared()`` and ``fairlane work``: several processes train one study, as one process would."""

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import _killed
import _processes
import _sharing
import fairlane as fl
from _sharing import trained, until
from fairlane.cli import app
from fairlane.store import overview

PROGRAM = Path(_sharing.__file__)
SCRIPT = """
import sys
import _killed, _sharing
import fairlane as fl

x, y = _killed.data()
study = fl.compare(
    _killed.build, {"learning_rate": _sharing.RATES}, x, y, seeds=2, epochs=_sharing.EPOCHS, batch_size=8,
    engine="reference", verbose=0, store=sys.argv[1], name="shared", checkpoint_every=1,
)
print("complete:", *study.trials["state"])
"""


def begun(*command):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "KERAS_BACKEND": "jax"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, *map(str, command)], text=True, env=environment, **pipes)


@pytest.fixture
def started():
    """Starts processes, which end with the test."""
    processes = []

    def start(*command):
        processes.append(begun(*command))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def ended(process):
    out, err = process.communicate(timeout=_processes.LIMIT)
    return process.returncode, out, err


def epochs(study):
    """Each epoch of a study: ``(trial, epoch)`` → loss."""
    history = study.history
    keys = list(zip(history["trial"], history["epoch"], strict=True))
    assert len(set(keys)) == len(keys)  # none twice
    return dict(zip(keys, history["loss"], strict=True))


def weights(study, number):
    return study.model(number).get_weights()


@pytest.fixture(scope="module")
def alone():
    return _sharing.compare()


@pytest.mark.filterwarnings("ignore:.*was lost. its trials go on elsewhere:fairlane.errors.FairlaneWarning")
def test_one_of_three_is_killed_and_the_study_is_what_one_process_trains(tmp_path, started, alone):
    store = tmp_path / "runs.db"
    dying = started(PROGRAM, store, "reference", 8)  # after two epochs of its second trial
    until(lambda: trained(store))
    other = started(PROGRAM, store, "reference")
    own = _sharing.compare(str(store))
    code, out, err = ended(other)
    assert code == 0, err
    assert ended(dying)[0] == -signal.SIGKILL
    assert out.split() == [",".join(["done"] * 8)]
    study = fl.open(store, "shared")
    assert study.trials["worker"].str.fullmatch(rf"process \d+ on {re.escape(socket.gethostname())}").all()
    assert epochs(own) == epochs(study) == epochs(alone)
    for number in range(8):
        for a, b in zip(weights(study, number), weights(alone, number), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return path


def test_a_queue_ends_a_process_and_a_later_one_goes_on(tmp_path, started, script, alone):
    """The signal ends it at an epoch; what it had leased is free at once, and nothing is lost."""
    store = tmp_path / "runs.db"
    (tmp_path / "slow.py").write_text(
        textwrap.dedent("""
        import os, signal, sys
        from fairlane.running.driver import Driver
        from fairlane.trials import EpochEnded
        real, told = Driver._take, []
        def take(self, event):
            real(self, event)
            told.append(isinstance(event, EpochEnded))
            if sum(told) == 9:
                self._store.flush()
                os.kill(os.getpid(), signal.SIGTERM)
        Driver._take = take
        """)
        + SCRIPT
    )
    code, out, err = ended(started("-m", "fairlane", "work", tmp_path / "slow.py", store))
    assert code == 3, err
    assert "complete" not in out
    assert "7 trials left for others" in err
    assert overview(store)[0]["writer"] == ""
    before = epochs(fl.open(store, "shared"))
    result = CliRunner().invoke(app, ["work", "--batch", "3", str(script), str(store)])
    assert result.exit_code == 0, result.output
    assert "complete: done done done done done done done done" in result.output
    after = epochs(fl.open(store, "shared"))
    assert after == epochs(alone)
    assert before.items() <= after.items()
    assert len(before) == 9


@pytest.mark.filterwarnings("ignore:the budget of 1us is spent:fairlane.errors.FairlaneWarning")
def test_a_time_limit_leaves_trials(tmp_path, script):
    store = tmp_path / "runs.db"
    result = CliRunner().invoke(app, ["work", "--time-limit", "1us", str(script), str(store)])
    assert result.exit_code == 3
    assert "8 trials left for others" in result.output
    assert "complete" not in result.output


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (None, [], "there is no script"),
        ("print('hello')", [], "made no call of fairlane.compare or fairlane.search with store="),
        (SCRIPT.replace("seeds=2", "seeds=2, workers=2"), [], "leave workers=2 out"),
        (SCRIPT.replace("seeds=2", "seeds=2, budget='1h'"), ["--time-limit", "1h"], "leave one of them out"),
        (SCRIPT, ["--time-limit", "soon"], "budget must be a time"),
        (SCRIPT, ["--batch", "0"], "batch of fl.Shared must be a number"),
        (SCRIPT.replace("seeds=2", "seeds=2, test_data=(x, y)"), [], "test_data can't be evaluated"),
    ],
)
def test_what_can_not_be_shared(tmp_path, text, options, said):
    script = tmp_path / "wrong.py"
    if text is not None:
        script.write_text(text)
    result = CliRunner().invoke(app, ["work", *options, str(script), str(tmp_path / "runs.db")])
    assert result.exit_code == 2
    assert said in result.output
    assert not (tmp_path / "runs.db").exists()


def other(learning_rate):
    model = _killed.build(learning_rate)
    model.compile("sgd", "mse")
    return model


def test_a_process_with_another_builder_or_other_data_is_refused(tmp_path):
    store = tmp_path / "runs.db"
    _sharing.compare(store)
    with pytest.raises(fl.StudyError, match="was trained for another request"):
        _sharing.compare(store, builder=other)
    with pytest.raises(fl.StudyError, match="was trained for another request"):
        _sharing.compare(store, batch_size=16)
    tested = _sharing.compare(store, workers=None, test_data=_killed.data())  # as the error for it says
    assert tested.trials["test_loss"].notna().all()


def test_calls_that_can_not_share():
    with pytest.raises(fl.StudyError, match="needs a store"):
        _sharing.compare(workers=fl.Shared())


def test_where_the_folder_of_the_store_is_not(tmp_path):
    with pytest.raises(fl.StoreError, match="does not exist"):
        _sharing.compare(tmp_path / "nowhere" / "runs.db")
