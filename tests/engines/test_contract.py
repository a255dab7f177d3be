"""The contract of engines: one suite that every engine passes. What goes on equals Keras alone."""

import pickle
import random
from dataclasses import replace

import keras
import numpy as np
import pytest
from _jobs import COPIES, EPOCHS, RAGGED, Listed, X, Y, alone, build, callbacks, job, resources, run

from _crew import two_workers
from fairlane.engines.contract import Declined, Fork, ForkRefused, GoOn, Idle, Pause, Stop
from fairlane.engines.fallback import FallbackEngine
from fairlane.engines.lanes import LanesEngine
from fairlane.engines.reference import ReferenceEngine
from fairlane.running.policy import EverybodyGoesOn, OrderBook
from fairlane.trials import CutOff, EpochEnded, ModelDescribed, TrialDone, TrialFailed, TrialStarted


def workers(shared):
    from fairlane.engines.workers.engine import WorkersEngine

    return WorkersEngine(shared)


def pool(shared):
    """Two worker processes, the same in all tests."""
    from fairlane.engines.pool.engine import PoolEngine

    return PoolEngine(shared, two_workers())


def declined_by_lanes(shared):
    """Half of the trials on lanes, half on the reference engine."""

    class Odd(LanesEngine):
        def run(self, feed, orders):
            class Even:
                def next(self):
                    found = feed.next()
                    if hasattr(found, "trial") and found.trial.number % 2:
                        return replace(found, reason="its number is odd")
                    return found

            return super().run(Even(), orders)

    return FallbackEngine(Odd(shared), ReferenceEngine(shared))


ENGINES = {
    "reference": ReferenceEngine,
    "lanes": LanesEngine,
    "fallback": declined_by_lanes,
    "workers": workers,
    "pool": pool,
}
SLOW = ("workers", "pool")


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in ENGINES]
)
def name(request):
    return request.param


@pytest.fixture
def make(name):
    return ENGINES[name]


def assert_equal(ran, one, epochs=EPOCHS, first=0, **how):
    """A trial's epochs from ``first`` on, and its weights, are those of Keras alone."""
    history, model = alone(one, epochs, **how)
    ours = ran.history(one.trial)
    assert set(ours) == set(history)
    for log, values in history.items():
        np.testing.assert_allclose(
            ours[log], values[first:], rtol=1e-4, atol=1e-6, err_msg=f"{one.trial} {log}"
        )
    state = ran.done(one.trial).weights.state
    theirs = [*model.trainable_variables, *model.non_trainable_variables, *model.optimizer.variables]
    for a, b in zip([*state.trainable, *state.non_trainable, *state.optimizer], theirs, strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-3, atol=1e-5, err_msg=b.path)


# --- everybody goes on ----------------------------------------------------------------------------------


def test_everybody_goes_on_as_keras_alone(make):
    jobs = [job(i, fit=RAGGED) for i in range(4)]
    ran = run(make(resources(fit=RAGGED)), jobs)
    for one in jobs:
        assert_equal(ran, one, fit=RAGGED)


def test_each_trial_starts_ends_its_epochs_in_order_and_ends(make):
    jobs = [job(i) for i in range(3)]
    ran = run(make(resources()), jobs)
    for one in jobs:
        events = [
            e
            for e in ran.events
            if not isinstance(e, Idle | ModelDescribed | Declined) and e.trial is one.trial
        ]
        assert isinstance(events[0], TrialStarted)
        assert [e.epoch for e in events[1:-1]] == list(range(EPOCHS))
        assert isinstance(events[-1], TrialDone)
        assert not events[-1].stopped


class GoesOn:
    """Lets every trial go on, one order at a time."""

    standing = False

    def after(self, event):
        return [GoOn(event.trial)] if isinstance(event, EpochEnded) else []


def test_orders_one_by_one_give_the_same_as_standing_ones(make):
    jobs = [job(i) for i in range(3)]
    ran = run(make(resources()), jobs, GoesOn())
    for one in jobs:
        assert_equal(ran, one)


def test_a_job_is_data(make):
    fresh = [pickle.loads(pickle.dumps(job(i, rate=0.1))) for i in range(2)]
    ran = run(make(resources()), fresh)
    for one in fresh:
        assert_equal(ran, one)


def test_a_feed_may_say_not_yet(make):
    jobs = [job(0), job(1), job(2)]
    ran = run(make(resources()), [None, jobs[0], None, jobs[1], jobs[2], None])
    assert any(isinstance(e, Idle) for e in ran.events)
    for one in jobs:
        assert_equal(ran, one)


def test_a_feed_may_be_empty(make):
    assert run(make(resources()), []).events == []


def test_a_builder_that_raises_costs_its_trial_alone(make):
    def fails(learning_rate):
        if learning_rate == 0.04:
            raise ValueError("no such model")
        return build(learning_rate)

    jobs = [job(i) for i in range(3)]
    ran = run(make(resources(fails)), jobs)
    (failed,) = ran.of(jobs[1].trial, TrialFailed)
    assert (failed.error, failed.epoch) == ("ValueError: no such model", None)
    for one in (jobs[0], jobs[2]):
        assert_equal(ran, one)


def test_a_job_known_to_be_unfit_for_lanes_comes_back(name):
    if name in ("reference", "fallback", "pool"):
        pytest.skip("it runs what lanes can't")
    one = replace(job(0), reason="it is a Tuesday")
    (event,) = run(ENGINES[name](resources()), [one]).events
    assert isinstance(event, Declined)
    assert (event.job.trial, event.reason) == (one.trial, "it is a Tuesday")


# --- who consumes the events can't disturb --------------------------------------------------------------


def test_what_is_done_with_an_event_is_none_of_the_trials_business(make):
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    keras.utils.set_random_seed(5)
    expected = np.random.RandomState(5).rand(1000)
    policy, drawn = keras.config.dtype_policy(), []

    def disturb(event):
        drawn.append(np.random.rand())  # noqa: NPY002
        random.random()
        keras.random.normal((2,))
        keras.layers.Dense(1)
        assert keras.config.dtype_policy() is policy

    jobs = [job(i) for i in range(3)]
    ran = run(make(resources()), jobs, watch=disturb)
    np.testing.assert_array_equal(
        drawn, expected[: len(drawn)]
    )  # the caller's own numbers, one after another
    for one in jobs:
        assert_equal(ran, one)


# --- orders ---------------------------------------------------------------------------------------------


class AtRung:
    """Pauses every trial at the end of an epoch; when all are there, decides in the order of their numbers."""

    standing = False

    def __init__(self, trials, epoch):
        self.trials, self.epoch = trials, epoch
        self.there = {}

    def after(self, event):
        if isinstance(event, TrialStarted):
            self.there.pop(event.trial.number, None)  # begun again, on another engine
        if not isinstance(event, EpochEnded):
            return []
        if event.epoch != self.epoch or event.trial.number >= self.trials:
            return [GoOn(event.trial)]
        self.there[event.trial.number] = event
        if len(self.there) < self.trials:
            return [Pause(event.trial)]
        in_order = [self.there[number] for number in sorted(self.there)]
        return self.decide(in_order)

    def decide(self, ended):
        raise NotImplementedError


class BetterHalf(AtRung):
    """The better half goes on, the others end."""

    def decide(self, ended):
        ranked = sorted(ended, key=lambda e: (e.logs["val_loss"], e.trial.number))
        self.kept = {e.trial.number for e in ranked[: len(ranked) // 2]}
        return [GoOn(e.trial) if e.trial.number in self.kept else Stop(e.trial) for e in ended]


class StopsAtThree:
    """Ends trials in their third epoch, those of even rank by the number."""

    standing = False

    def after(self, event):
        if not isinstance(event, EpochEnded):
            return []
        ends = event.epoch == 2 and event.trial.number % 2 == 0
        return [(Stop if ends else GoOn)(event.trial)]


def test_a_trial_that_is_stopped_is_the_trial_of_so_many_epochs(make):
    jobs = [job(i) for i in range(4)]
    ran = run(make(resources()), jobs, StopsAtThree())
    for one in jobs:
        stops = one.trial.number % 2 == 0
        assert ran.done(one.trial).stopped is stops
        assert_equal(ran, one, epochs=3 if stops else EPOCHS)


@pytest.mark.parametrize("rung", [0, EPOCHS - 1])
def test_the_better_half_goes_on_from_a_rung(make, rung):
    jobs = [job(i) for i in range(4)]
    policy = BetterHalf(4, rung)
    ran = run(make(resources()), jobs, policy)
    values = [alone(one, rung + 1)[0]["val_loss"][-1] for one in jobs]
    assert policy.kept == set(np.argsort(values)[:2].tolist())
    for one in jobs:
        on = one.trial.number in policy.kept
        assert ran.done(one.trial).stopped is not on
        assert_equal(ran, one, epochs=EPOCHS if on else rung + 1)


def test_stopped_trials_hear_that_training_ends(name):
    if name in ("workers", "pool"):
        pytest.skip("callbacks of one's own do not run in this process")
    heard = []

    class Hears(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            heard.append(dict(logs))

    jobs = [job(0, make_callbacks=True)]
    ran = run(ENGINES[name](resources(make_callbacks=lambda trial: [Hears()])), jobs, StopsAtThree())
    assert len(heard) == 1
    assert heard[0]["loss"] == pytest.approx(ran.history(jobs[0].trial)["loss"][-1])


def test_pauses_at_every_epoch_change_nothing(make):
    """Each trial waits at each epoch until all have ended it, with callbacks that remember."""

    class InStep:
        standing = False

        def __init__(self, trials):
            self.trials, self.ended = trials, {}

        def after(self, event):
            if not isinstance(event, EpochEnded):
                return []
            there = self.ended.setdefault(event.epoch, {})
            there[event.trial.number] = event.trial
            return [GoOn(there[n]) for n in sorted(there)] if len(there) == self.trials else []

    jobs = [job(i, make_callbacks=True) for i in range(3)]
    ran = run(make(resources(make_callbacks=callbacks)), jobs, InStep(3))
    for one in jobs:
        assert_equal(ran, one, make_callbacks=callbacks)


def test_decisions_do_not_depend_on_the_engine():
    kept = []
    for engine in (ReferenceEngine, LanesEngine, lambda shared: LanesEngine(shared, threads=1)):
        policy = BetterHalf(6, 1)
        run(engine(resources()), [job(i) for i in range(6)], policy)
        kept.append(policy.kept)
    assert kept[0] == kept[1] == kept[2]


# --- forks ----------------------------------------------------------------------------------------------


class ForksAt:
    """Forks one trial at the end of an epoch."""

    standing = False

    def __init__(self, number, epoch, new):
        self.number, self.epoch, self.new = number, epoch, new

    def after(self, event):
        if not isinstance(event, EpochEnded):
            return []
        if (event.trial.number, event.epoch) == (self.number, self.epoch):
            return [Fork(event.trial, self.new), GoOn(event.trial)]
        return [GoOn(event.trial)]


@pytest.mark.parametrize("with_callbacks", [False, True])
def test_a_fork_is_the_same_trial_once_more(name, with_callbacks):
    if name == "workers":
        pytest.skip("a worker process gives no copies")
    made = callbacks if with_callbacks else None
    jobs = [job(i, make_callbacks=made, pace=COPIES) for i in range(2)]
    twin = job(
        7, make_callbacks=made, pace=COPIES, learning_rate=jobs[1].trial.hyperparameters["learning_rate"]
    )
    ran = run(ENGINES[name](resources(make_callbacks=made)), jobs, ForksAt(1, 2, twin))
    (started,) = ran.of(twin.trial, TrialStarted)
    assert started.epoch == 3
    for one in jobs:
        assert_equal(ran, one, make_callbacks=made)
    # The copy goes on as its source: same weights, same dropout masks, same batches, callbacks' memory.
    source, copy = ran.history(jobs[1].trial), ran.history(twin.trial)
    for log, values in source.items():
        np.testing.assert_allclose(copy[log], values[3:], rtol=1e-4, atol=1e-6, err_msg=log)
    for a, b in zip(
        ran.done(twin.trial).weights.state.flat(), ran.done(jobs[1].trial).weights.state.flat(), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_a_paused_trial_can_be_forked_later(name):
    if name == "workers":
        pytest.skip("a worker process gives no copies")
    twin = job(9, pace=COPIES, learning_rate=0.02)

    class ForksTheBest(AtRung):
        def decide(self, ended):
            return [Fork(ended[0].trial, twin), *(GoOn(e.trial) for e in ended)]

    jobs = [job(i, pace=COPIES) for i in range(3)]
    ran = run(ENGINES[name](resources()), jobs, ForksTheBest(3, 1))
    for one in jobs:
        assert_equal(ran, one)
    np.testing.assert_allclose(
        ran.history(twin.trial)["loss"], ran.history(jobs[0].trial)["loss"][2:], rtol=1e-4
    )


def test_a_fork_that_can_not_be_exact_is_refused(make):
    jobs, new = [job(0)], job(1)  # without a pace, nobody watches what callbacks remember
    ran = run(make(resources()), jobs, ForksAt(0, 1, new))
    (refused,) = [e for e in ran.events if isinstance(e, ForkRefused)]
    assert refused.job is new
    assert "pace" in refused.reason or "worker process" in refused.reason
    assert not ran.of(new.trial, TrialStarted)
    assert_equal(ran, jobs[0])


def test_a_fork_onto_another_model_is_refused(name):
    if name == "workers":
        pytest.skip("a worker process gives no copies")

    def sized(learning_rate, units=6):
        layers = keras.layers
        model = keras.Sequential([keras.Input((4,)), layers.Dense(units, "tanh"), layers.Dense(1)])
        model.compile(keras.optimizers.Adam(learning_rate), loss="mse")
        return model

    jobs, new = [job(0, pace=COPIES)], job(1, pace=COPIES, units=7)
    ran = run(ENGINES[name](resources(sized)), jobs, ForksAt(0, 1, new))
    (refused,) = [e for e in ran.events if isinstance(e, ForkRefused)]
    assert refused.job.trial is new.trial
    assert "a model with other variables" in refused.reason
    assert not ran.of(new.trial, TrialStarted)
    assert_equal(ran, jobs[0], builder=sized)


def test_a_fork_with_other_hyperparameters_trains_on_with_them(name):
    """A dropout rate of its own: the state is the source's, the model the new trial's."""
    if name == "workers":
        pytest.skip("a worker process gives no copies")
    jobs = [job(0, pace=COPIES, rate=0.25)]
    new = job(1, pace=COPIES, rate=0.6, learning_rate=0.02)
    ran = run(ENGINES[name](resources()), jobs, ForksAt(0, 1, new))
    source, copy = ran.history(jobs[0].trial), ran.history(new.trial)
    assert len(copy["loss"]) == EPOCHS - 2
    assert copy["loss"][0] != pytest.approx(source["loss"][2], rel=1e-3)
    assert copy["loss"][0] == pytest.approx(source["loss"][2], rel=0.5)


# --- data that are read ---------------------------------------------------------------------------------


class Read(keras.utils.PyDataset):
    """The data, in batches."""

    reads = 0

    def __len__(self):
        return 4

    def __getitem__(self, i):
        Read.reads += 1
        return X[8 * i : 8 * i + 8], Y[8 * i : 8 * i + 8]


@pytest.mark.parametrize("engine", [ReferenceEngine, LanesEngine])
def test_trials_that_read_one_dataset_wait_for_each_other(engine):
    fit = {"x": Read(), "epochs": EPOCHS}
    jobs = [job(i, fit=fit) for i in range(4)]
    policy = BetterHalf.__new__(BetterHalf)
    AtRung.__init__(policy, 4, 2)
    policy.decide = lambda ended: [
        GoOn(e.trial) if e.trial.number in (1, 2) else Stop(e.trial) for e in ended
    ]
    ran = run(engine(resources(fit=fit, readers=4)), jobs, policy)
    for one in jobs:
        on = one.trial.number in (1, 2)
        assert_equal(ran, one, epochs=EPOCHS if on else 3, fit={"x": Read()})


# --- an end before the end ------------------------------------------------------------------------------


def closed_after(engine, jobs, events, policy=None):
    """The events of a run that is closed, and what it had not reported."""
    policy = policy or EverybodyGoesOn()
    book, seen = OrderBook(policy.standing), []
    source = engine.run(Listed(jobs), book)
    for event in source:
        seen.append(event)
        book.give(policy.after(event))
        if events(event):
            break
    source.close()
    return seen, engine.unreported()


def test_a_run_that_is_closed_hands_over_the_states(name):
    if name == "workers":
        pytest.skip("what a worker process has not reported is lost with it")
    jobs = [job(i) for i in range(3)]
    engine = ENGINES[name](resources())
    policy = GoesOn() if name == "pool" else None  # with standing orders, workers may have trained on by now
    seen, left = closed_after(engine, jobs, lambda e: isinstance(e, EpochEnded) and e.epoch == 2, policy)
    cut = {e.trial.number: e for e in left if isinstance(e, CutOff)}
    ended = {}
    for event in [*seen, *left]:
        if isinstance(event, EpochEnded):
            ended[event.trial.number] = event.epoch + 1
    done = {e.trial.number for e in seen if isinstance(e, TrialDone)}
    assert cut.keys() == ended.keys() - done
    for number, event in cut.items():
        assert event.epoch == ended[number]
        _, model = alone(jobs[number], event.epoch)
        for a, b in zip(event.weights.state.trainable, model.trainable_variables, strict=True):
            np.testing.assert_allclose(a, b.numpy(), rtol=1e-3, atol=1e-5)


def test_paused_trials_hand_over_their_states_too(name):
    if name == "workers":
        pytest.skip("what a worker process has not reported is lost with it")

    class NobodyGoesOn:
        standing = False

        def after(self, event):
            return []

    jobs = [job(i) for i in range(3)]
    engine = ENGINES[name](resources())
    _, left = closed_after(engine, jobs, lambda e: isinstance(e, Idle), NobodyGoesOn())
    assert sorted((e.trial.number, e.epoch) for e in left if isinstance(e, CutOff)) == [
        (0, 1),
        (1, 1),
        (2, 1),
    ]


def test_models_of_ones_own_are_left_with_what_they_have_learned(name):
    models = [build(0.02 * (i + 1)) for i in range(2)]
    jobs = [job(i) for i in range(2)]
    ran = run(ENGINES[name](resources(models=models)), jobs, StopsAtThree())
    if name == "pool":  # nobody else can train them
        assert [type(event) for event in ran.events] == [Declined, Declined]
        assert not any(hasattr(model, "history") for model in models)
        return
    assert [len(model.history.history["loss"]) for model in models] == [3, EPOCHS]
    assert [int(model.optimizer.iterations) for model in models] == [3 * 4, EPOCHS * 4]


def test_the_session_is_left_as_found(name):
    if name == "workers":
        pytest.skip("see test_worker")
    keras.utils.set_random_seed(3)
    expected = np.random.RandomState(3).rand()
    engine = ENGINES[name](resources())
    closed_after(engine, [job(i) for i in range(2)], lambda e: isinstance(e, EpochEnded) and e.epoch == 1)
    assert np.random.rand() == expected  # noqa: NPY002
