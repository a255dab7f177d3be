"""The driver and the policy that it holds: orders reach the engine, and what nobody lets go on is an error."""

import sys
from pathlib import Path

import numpy as np
import pytest

import fairlane as fl
from fairlane.engines.contract import Fork, GoOn, Pause, Stop
from fairlane.engines.reference.watching import Last
from fairlane.running.driver import Driver
from fairlane.running.policy import EverybodyGoesOn, OrderBook
from fairlane.store import MemoryStore
from fairlane.trials import EpochEnded, Trial, TrialDone, TrialStarted, TrialState, Variant

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
    stopped = TrialState.STOPPED
    assert [records[n].state for n in range(3)] == [stopped, TrialState.DONE, stopped]
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


# --- orders that can't be followed ----------------------------------------------------------------------


class Twice(Only):
    """Gives one trial two answers."""

    def after(self, event):
        return [*super().after(event), *super().after(event)]


@pytest.mark.parametrize("engine", ["reference", "lanes"])
def test_two_answers_to_one_epoch_are_an_error(engine):
    with pytest.raises(
        fl.StudyError, match=r"gave trial 0 .* two orders at the end of one epoch: Stop, then Stop"
    ):
        driven(Twice(1, Stop), [job(0)], engine)


@pytest.mark.parametrize("engine", ["reference", "lanes"])
def test_an_order_for_a_trial_that_has_ended_is_an_error(engine):
    new = job(3, pace=COPIES)

    class TooLate(Only):
        def after(self, event):
            if isinstance(event, TrialDone):
                return [Fork(event.trial, new)]
            return super().after(event)

    with pytest.raises(
        fl.StudyError, match=r"gave trial 0 .* the order Fork, but the trial did not wait for one"
    ):
        driven(TooLate(0, Stop), [job(0, pace=COPIES)], engine)


# --- Ctrl-C ---------------------------------------------------------------------------------------------


def interrupted(engine, kind, number):
    """The records and states of a study that is interrupted when the n-th event of a kind is about to be written."""
    seen = []

    class Store(MemoryStore):
        def write(self, event):
            if isinstance(event, kind):
                seen.append(event)
                if len(seen) == number:
                    raise KeyboardInterrupt
            return super().write(event)

    jobs = [job(i) for i in range(2)]
    store = Store([one.trial for one in jobs])
    driver = Driver(store, engine, "record", None, lambda record: None)
    with pytest.warns(fl.FairlaneWarning, match="interrupted"):
        driver.run(jobs, resources(), interruptible=True)
    return jobs, store


@pytest.mark.parametrize("engine", ["reference", "lanes", "auto"])
@pytest.mark.parametrize(
    ("kind", "number"), [(EpochEnded, 1), (EpochEnded, 3), (TrialDone, 1), (TrialStarted, 2)]
)
def test_history_and_state_are_of_one_epoch_whenever_ctrl_c_comes(engine, kind, number):
    jobs, store = interrupted(engine, kind, number)
    assert kind is not EpochEnded or any(record.epochs for record in store)
    for one in jobs:
        record, cut = store[one.trial], store.cut_off(one.trial)
        assert [epoch for epoch, _ in record.epochs] == list(range(len(record.epochs)))
        if record.state is TrialState.DONE:
            assert len(record.epochs) == EPOCHS
            state = store.weights(one.trial).state
        elif record.epochs:
            assert cut.epoch == len(record.epochs)
            state = cut.weights.state
        else:
            assert cut is None
            continue
        _, model = alone(one, len(record.epochs))
        for ours, theirs in zip(state.trainable, model.trainable_variables, strict=True):
            np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-3, atol=1e-5)


def test_ctrl_c_while_a_checkpoint_is_made_loses_no_epoch(monkeypatch):
    def save(self, epoch):
        if epoch == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Last, "_save", save)
    one = job(0)
    store = MemoryStore([one.trial])
    driver = Driver(store, "reference", "record", None, lambda record: None)
    with pytest.warns(fl.FairlaneWarning, match="interrupted"):
        driver.run([one], resources(), interruptible=True)
    assert [epoch for epoch, _ in store[one.trial].epochs] == [0, 1, 2]
    assert store.cut_off(one.trial).epoch == 3
