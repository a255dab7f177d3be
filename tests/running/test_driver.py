"""The driver and the policy that it holds: orders reach the engine, and what nobody lets go on is an error."""

import sys
from pathlib import Path

import numpy as np
import pytest

import fairlane as fl
from fairlane.engines.contract import Fork, GoOn, Pause, Stop
from fairlane.running.driver import Driver
from fairlane.running.policy import EverybodyGoesOn, OrderBook
from fairlane.store import MemoryStore
from fairlane.trials import EpochEnded, Trial, TrialState, Variant

sys.path.insert(0, str(Path(__file__).parents[1] / "engines"))
from _jobs import COPIES, EPOCHS, alone, job, resources


def driven(policy, jobs, engine="auto", shared=None):
    """The records that a driver leaves, by the trials' numbers."""
    store = MemoryStore([one.trial for one in jobs])
    shown = []
    driver = Driver(
        store, engine, "record", None, lambda record: shown.append(record.trial.number), policy=policy
    )
    driver.run(jobs, shared or resources(), interruptible=False)
    assert shown
    return {record.trial.number: record for record in store}


class Only:
    """One trial goes on after its first epoch; the others get an order of another kind."""

    standing = False

    def __init__(self, number, other):
        self.number, self.other = number, other

    def after(self, event):
        if not isinstance(event, EpochEnded):
            return []
        goes_on = event.epoch > 0 or event.trial.number == self.number
        return [(GoOn if goes_on else self.other)(event.trial)]


@pytest.mark.parametrize("engine", ["reference", "lanes", "auto"])
def test_the_policys_orders_reach_the_engine(engine):
    jobs = [job(i) for i in range(3)]
    records = driven(Only(1, Stop), jobs, engine)
    assert {n: len(record.epochs) for n, record in records.items()} == {0: 1, 1: EPOCHS, 2: 1}
    assert {record.state for record in records.values()} == {TrialState.DONE}
    for one in jobs:
        expected = alone(one, len(records[one.trial.number].epochs))[0]["loss"]
        ours = [logs["loss"] for _, logs in records[one.trial.number].epochs]
        np.testing.assert_allclose(ours, expected, rtol=1e-4)


@pytest.mark.parametrize("engine", ["reference", "lanes", "auto"])
def test_trials_that_nobody_lets_go_on_are_an_error(engine):
    with pytest.raises(fl.StudyError) as error:
        driven(Only(1, Pause), [job(i) for i in range(3)], engine)
    assert "the trials that wait for an order got none" in str(error.value)
    assert "trial 0 (" in str(error.value)
    assert "trial 2 (" in str(error.value)
    assert "trial 1 (" not in str(error.value)


def test_a_fork_that_is_not_possible_is_an_error():
    new = job(5)

    class Forks(Only):
        def after(self, event):
            first = isinstance(event, EpochEnded) and event.epoch == 0
            return [Fork(event.trial, new), *super().after(event)] if first else super().after(event)

    with pytest.raises(
        fl.StudyError, match=r"trial 5 .* can't begin: it can't be forked: its job has no pace"
    ):
        driven(Forks(0, Stop), [job(0)])


def test_a_fork_is_written_like_any_trial():
    first, new = job(0, pace=COPIES), job(1, pace=COPIES, learning_rate=0.02)

    class Forks(Only):
        def after(self, event):
            if isinstance(event, EpochEnded) and event.trial is first.trial and event.epoch == 1:
                return [Fork(event.trial, new), GoOn(event.trial)]
            return super().after(event)

    store = MemoryStore([first.trial, new.trial])
    Driver(store, "auto", "record", None, lambda record: None, policy=Forks(0, GoOn)).run(
        [first], resources(), interruptible=False
    )
    copy, source = store[new.trial], store[first.trial]
    assert [epoch for epoch, _ in copy.epochs] == list(range(2, EPOCHS))
    for (_, ours), (_, theirs) in zip(copy.epochs, source.epochs[2:], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)


def test_orders_are_taken_once_and_by_those_they_are_for():
    a, b = (Trial(i, Variant(i, {}), 0) for i in range(2))
    book = OrderBook(standing=False)
    assert not book.give([])
    assert book.give([GoOn(a), Stop(b)])
    assert [type(order) for order in book.take([b])] == [Stop]
    assert list(book.take([b])) == []
    assert [order.trial for order in book.take([a, b])] == [a]


def test_everybody_goes_on():
    trials = [Trial(i, Variant(i, {}), 0) for i in range(2)]
    book = OrderBook(EverybodyGoesOn.standing)
    assert [(type(order), order.trial) for order in book.take(trials)] == [(GoOn, trial) for trial in trials]
