"""A process that shares a study and hangs gives no sign of life, and others take over its trials."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import _processes
import _sharing
import fairlane as fl
from fairlane.kit.hanging import HUNG, Watch
from fairlane.store import overview

SCRIPT = """
import time
import _sharing
from fairlane.kit import hanging
from fairlane.running.driver import Driver
from fairlane.store import share
from fairlane.trials import EpochEnded

share.BEAT, moments, watch = 0.1, [0.0], hanging.Watch.__init__
hanging.Watch.__init__ = lambda *given: watch(*given, clock=lambda: moments[0])
real, told = Driver._take, []

def take(self, event):
    real(self, event)
    told.append(isinstance(event, EpochEnded))
    if sum(told) == 3:
        self._store.flush()
        moments[0] = 3601.0
        time.sleep(3600)

Driver._take = take
_sharing.compare({store!r})
"""


def test_the_watch_says_where_training_is(capsys):
    moments = [0.0]
    watch = Watch(10.0, "10 s", ": others take over", clock=lambda: moments[0])
    moments[0] = 10.0
    assert watch.alive()
    watch.goes_on()
    moments[0] = 20.0
    assert watch.alive()
    moments[0] = 20.5
    assert not watch.alive()
    assert not watch.alive()
    said = capsys.readouterr().err
    assert said.count("no epoch and no trial has begun or ended for 10 s, so it counts as hung") == 1
    assert "hung: others take over. Training is here" in said
    assert "in test_the_watch_says_where_training_is" in said
    watch.goes_on()  # it was only slow, and nobody has taken over yet
    assert watch.alive()
    moments[0] = 90.0
    with watch.resting():
        assert watch.alive()  # it waits for others
    assert watch.alive()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*was lost. its trials go on elsewhere:fairlane.errors.FairlaneWarning")
def test_others_take_over_from_a_process_that_hangs(tmp_path):
    store, script = str(tmp_path / "runs.db"), tmp_path / "hangs.py"
    script.write_text(textwrap.dedent(SCRIPT.format(store=store)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "KERAS_BACKEND": "jax"}
    command = [sys.executable, "-m", "fairlane", "work", "--patience", "1h", str(script)]
    hung = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=_processes.LIMIT, check=False
    )
    assert hung.returncode == HUNG, hung.stderr
    assert "no epoch and no trial has begun or ended for 1h" in hung.stderr
    assert "time.sleep(3600)" in hung.stderr
    assert overview(store)[0]["epochs"] == 3
    study = _sharing.compare(store)
    alone = _sharing.compare()
    assert set(study.trials["state"]) == {"done"}
    np.testing.assert_array_equal(study.history.to_numpy(float), alone.history.to_numpy(float))


@pytest.mark.parametrize("wrong", ["soon", 0, -1.0, None, True])
def test_a_patience_that_is_no_time(wrong):
    with pytest.raises(fl.StudyError, match=r"patience of fl\.Shared must be a time such as '2h'"):
        fl.Shared(patience=wrong)
