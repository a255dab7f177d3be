"""A search that several processes share: each decides, all alike, and it is what one process would find."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import _processes
import _shared_search
import fairlane as fl
from _shared_search import search
from _sharing import trained, until
from fairlane.kit.hanging import Watch
from fairlane.running.sharing import Leases
from fairlane.running.working import working
from fairlane.store import Decision, Record
from fairlane.store.shared import Leased, SharedStore
from fairlane.trials import Trial, TrialState, Variant

PROGRAM = Path(_shared_search.__file__)


def decisions(study):
    return {one.about: dict(one.content) for one in study._store.decisions()}


def plain(study):
    """All of a study's trials that does not say who trained them.

    A trial that a rule ends when its process is lost has the weights of its checkpoint, and does not say of which
    epoch they are.
    """
    return study.trials.drop(columns=["seconds", "worker", "weights_epoch"], errors="ignore")


@pytest.fixture(scope="module")
def alone():
    return search(confirm=(2, 2))


@pytest.fixture
def started():
    """Starts processes, which end with the test."""
    processes = []

    def start(*arguments):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, str(PROGRAM), *map(str, arguments)]
        processes.append(subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.filterwarnings("ignore:.*was lost. its trials go on elsewhere:fairlane.errors.FairlaneWarning")
@pytest.mark.parametrize("dies_after", [None, 3])
def test_two_processes_search_as_one_does(tmp_path, started, alone, dies_after):
    """One of them is killed in the second case: the other takes over its trials, and decides the same."""
    store = tmp_path / "runs.db"
    other = started(store, *([] if dies_after is None else [dies_after]))
    until(lambda: trained(store))
    own = search(store, confirm=(2, 2))
    out, _ = other.communicate(timeout=_processes.LIMIT)
    assert other.returncode == (-signal.SIGKILL if dies_after else 0)
    assert dies_after or out.split() == [str(len(alone.trials))]
    study = fl.open(store, _shared_search.NAME)
    assert decisions(study) == decisions(own) == decisions(alone)
    assert plain(study).equals(plain(alone))
    assert study.history.equals(alone.history)
    assert study.trials["worker"].nunique() == 2


@pytest.mark.parametrize(
    "given",
    [
        {"stop": "median", "width": 3, "sampler": "sobol"},
        {"stop": None, "engine": "lanes", "trials": 4, "batch": 8},
    ],
    ids=["rule by epoch", "no rule, on lanes"],
)
def test_one_process_of_a_shared_search_finds_what_others_do(tmp_path, given):
    own, expected = search(tmp_path / "runs.db", **given), search(**given)
    assert decisions(own) == decisions(expected)
    assert plain(own).equals(plain(expected))
    assert own.history.equals(expected.history)


def test_a_search_that_time_cuts_off_is_not_complete(tmp_path):
    """Trials that are not trained, and variants that have not begun, count as left; the next call goes on."""
    store = tmp_path / "runs.db"
    with (
        pytest.warns(fl.FairlaneWarning, match="budget of 0.001 s is spent"),
        pytest.raises(SystemExit) as left,
        working(None, 0.001) as work,
    ):
        search(store, None, width=2, sampler="sobol")
    assert left.value.code == 3
    assert work.left >= 5
    assert search(store, None, width=2, sampler="sobol").trials["state"].tolist() == ["done"] * 6


def test_processes_that_decide_differently_are_told(tmp_path):
    search(tmp_path / "runs.db", None, trials=1, epochs=1)
    with pytest.MonkeyPatch.context() as patch:
        # What this process decides, another one has decided otherwise a moment before.
        agree = SharedStore.agree

        def late(self, new):
            agree(self, [(Decision(one.about, {**one.content, "asked": 99}), None) for one, _ in new])
            self._study.decisions[:] = self._study.decisions[: -len(new)]
            agree(self, new)

        patch.setattr(SharedStore, "agree", late)
        with pytest.raises(fl.StudyError, match=r"decide differently about .*'variant', 1.*one kind"):
            search(tmp_path / "runs.db", None, trials=2, epochs=1)


def test_a_decision_is_stored_once_and_may_be_replaced_by_who_knew_it(tmp_path):
    search(tmp_path / "runs.db", None, trials=1, epochs=1)
    about, first, second = ("rung", 0, 0), {"promoted": [1]}, {"promoted": [1, 2]}
    found = []

    def agree(self, new):
        real(self, [(Decision(about, first), None)])
        real(self, [(Decision(about, first), None), (Decision(about, second), first)])
        found.extend(one.content for one in self.decisions() if one.about == about)
        real(self, new)

    real = SharedStore.agree
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SharedStore, "agree", agree)
        search(tmp_path / "runs.db", None, trials=2, epochs=1)
    assert found[:2] == [first, second]


def test_a_shared_search_needs_a_store():
    with pytest.raises(fl.StudyError, match="needs a store"):
        search(workers=fl.Shared())


def test_what_ended_in_another_process_is_released_here():
    """Its data may be freed; not that of trials which go on, or are of an earlier call."""
    one, two, three = (Trial(n, Variant(n, {}), 0) for n in range(3))
    changed = [Record(one), Record(two), Record(three)]
    for record, state in zip(changed, ("done", "interrupted", "done"), strict=True):
        record.state = TrialState(state)
    store = SimpleNamespace(lives_while=lambda _: None, notes=[], lease=lambda *_: Leased(changed=changed))
    shown, released = [], []
    leases = Leases(store, None, Watch(9.0, "9 s", ""), shown.append, released.append)
    assert leases.ask([one, two]) == []
    assert shown == changed
    assert released == [one]
