"""The contract of stores: what memory, SQLite and PostgreSQL all do, without exceptions."""

import math

import ml_dtypes
import numpy as np
import pytest
from _stores import (
    MEMORY,
    finish,
    of_checkpoint,
    of_records,
    of_weights,
    plan,
    run,
    save,
    start,
    weights,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlane import trials as events  # pytest takes the name Tested for tests
from fairlane.errors import StoreError
from fairlane.store import MemoryStore
from fairlane.trials import (
    Checkpoint,
    EpochEnded,
    Site,
    State,
    Trial,
    TrialDone,
    TrialFailed,
    TrialStarted,
    TrialState,
    Weights,
)


def states(store):
    return [str(record.state) for record in store]


# --- reading ---


def test_a_new_store_has_a_waiting_record_for_each_trial_in_order(place):
    store, trials = place.open(plan())
    assert len(store) == 4
    assert [record.trial for record in store] == trials
    assert states(store) == ["waiting"] * 4
    assert all(store.unfinished(trial) for trial in trials)
    assert store.notes == []


def test_a_trial_of_another_study_is_a_key_error(place):
    store, trials = place.open(plan())
    with pytest.raises(KeyError):
        store[Trial(0, trials[0].variant, 0)]


def test_a_trial_that_has_not_ended_has_no_weights_and_no_checkpoint(place):
    store, (trial, *_) = place.open(plan())
    assert (store.weights(trial), store.checkpoint(trial), store.description(trial)) == (None, None, None)
    start(store, trial)
    run(store, trial, 0, 1)
    assert (store.weights(trial), store.checkpoint(trial)) == (None, None)


# --- the life of a trial ---


def test_events_bring_the_record_up_to_date(place):
    store, (trial, *others) = place.open(plan())
    record = start(store, trial)
    assert record is store[trial]
    assert (record.state, record.engine, record.reason) == (TrialState.RUNNING, "lanes", "a reason")
    assert (record.fleet, record.loop) == (3, "vmap×2")
    run(store, trial, 0, 3, mae=0.5)
    assert record.epochs[1] == (1, {"loss": 0.5, "mae": 0.5})
    assert record.last_logs == {"loss": 1 / 3, "mae": 0.5}
    finish(store, trial)
    assert (record.state, record.seconds, record.loop) == (TrialState.DONE, 2.5, "scan×2")
    assert of_weights(store.weights(trial)) == of_weights(weights())
    assert store.checkpoint(trial) is None
    assert not store.unfinished(trial)
    assert states(store) == ["done", *["waiting"] * len(others)]


def test_a_failed_trial_says_why_and_is_unfinished(place):
    store, (trial, *_) = place.open(plan())
    start(store, trial)
    run(store, trial, 0, 1)
    record = store.write(TrialFailed(trial, 1, "ValueError: no", "Traceback\n  é\0\ud800", 1.5))
    assert (record.state, record.error, record.traceback) == (
        TrialState.FAILED,
        "ValueError: no",
        "Traceback\n  é\0\ud800",
    )
    assert record.seconds == 1.5
    assert store.unfinished(trial)


def test_a_trial_may_fail_before_it_begins(place):
    store, (trial, *_) = place.open(plan())
    assert store.write(TrialFailed(trial, None, "E", "T")).state is TrialState.FAILED


@pytest.mark.parametrize(("loss", "word"), [(math.nan, "NaN"), (math.inf, "infinite")])
def test_a_loss_that_is_not_finite_makes_the_trial_diverged(place, loss, word):
    store, (trial, *_) = place.open(plan())
    start(store, trial)
    run(store, trial, 0, 1)
    assert f"the loss became {word} in epoch 2" in store.write(EpochEnded(trial, 1, {"loss": loss})).error
    run(store, trial, 2, 3)
    record = finish(store, trial)
    assert record.state is TrialState.DIVERGED
    assert "in epoch 2 " in record.error
    assert not store.unfinished(trial)


def test_a_trial_begun_anew_forgets_what_it_was(place):
    store, (trial, *_) = place.open(plan())
    start(store, trial)
    run(store, trial, 0, 2)
    save(store, trial, 2)
    store.write(TrialFailed(trial, 2, "E", "T"))
    record = start(store, trial)
    assert (record.epochs, record.error, record.traceback) == ([], "", "")
    assert store.checkpoint(trial) is None
    run(store, trial, 0, 1)
    assert [epoch for epoch, _ in record.epochs] == [0]


def test_a_trial_begun_anew_after_its_end_has_no_weights(place):
    store, (trial, *_) = place.open(plan())
    start(store, trial)
    finish(store, trial)
    start(store, trial)
    assert store.weights(trial) is None


def test_what_is_done_is_tested_and_again_instead(place):
    store, (trial, *_) = place.open(plan())
    start(store, trial)
    with pytest.raises(StoreError, match="is running, and only a trial that is done is tested"):
        store.write(events.Tested(trial, {"test_loss": 1.0}))
    finish(store, trial)
    per_class = np.array([0.5, 0.25], "float32")
    store.write(events.Tested(trial, {"test_loss": math.nan, "test_mae": 1.0, "test_class": per_class}))
    record = store.write(events.Tested(trial, {"test_loss": -0.0, "test_class": per_class}))
    store.flush()
    records = store if place.store is None else place.read()
    (kept, *_) = records
    assert (
        repr(kept.test_logs) == repr(record.test_logs) == repr({"test_loss": -0.0, "test_class": per_class})
    )
    assert kept.state is TrialState.DONE
    assert (
        store.write(events.Tested(trial, {}, "E: no")).error == "the test data could not be evaluated: E: no"
    )
    assert start(store, trial).test_logs == {}
    store.flush()
    assert next(iter(records)).test_logs == {}


# --- what can't come ---


def test_what_can_not_come_is_refused_and_changes_nothing(place):
    store, (trial, *_) = place.open(plan())
    before = of_records(store)
    for event in (
        EpochEnded(trial, 0, {"loss": 1.0}),
        Checkpoint(trial, 0, weights(), {}),
        TrialDone(trial, 1.0, weights()),
    ):
        with pytest.raises(StoreError, match=r"trial 0 .* is waiting, so a store takes no"):
            store.write(event)
    assert of_records(store) == before


def test_a_trial_that_ended_takes_no_more(place):
    store, (trial, *_) = place.open(plan())
    start(store, trial)
    finish(store, trial)
    for event in (EpochEnded(trial, 9, {}), TrialFailed(trial, 0, "E", "T"), TrialDone(trial, 1.0, None)):
        with pytest.raises(StoreError, match="is done"):
            store.write(event)


@pytest.mark.parametrize("epoch", [0, 1])
def test_epochs_come_in_order_and_once(place, epoch):
    store, (trial, *_) = place.open(plan())
    start(store, trial)
    run(store, trial, 0, 2)
    with pytest.raises(StoreError, match=f"has finished epoch 1, so epoch {epoch} can't follow"):
        store.write(EpochEnded(trial, epoch, {"loss": 1.0}))
    assert [number for number, _ in store[trial].epochs] == [0, 1]


# --- checkpoints ---


def test_the_newest_checkpoint_is_given_back_exactly(place):
    store, (trial, *_) = place.open(plan())
    start(store, trial)
    for epoch in (1, 2, 3):
        run(store, trial, epoch - 1, epoch)
        save(store, trial, epoch, {"n": epoch, **MEMORY})
    found = store.checkpoint(trial)
    assert found.trial is trial
    assert of_checkpoint(found) == of_checkpoint(Checkpoint(trial, 3, weights(3), {"n": 3, **MEMORY}))


def test_a_failed_trial_keeps_its_checkpoints(place):
    store, (trial, *_) = place.open(plan())
    start(store, trial)
    run(store, trial, 0, 1)
    save(store, trial, 1)
    store.write(TrialFailed(trial, 1, "E", "T"))
    assert store.checkpoint(trial).epoch == 1


def test_going_on_keeps_the_epochs_before_and_the_checkpoint(place):
    store, (trial, *_) = place.open(plan())
    start(store, trial)
    run(store, trial, 0, 2)
    save(store, trial, 2)
    run(store, trial, 2, 5)
    store.interrupt()
    record = store.rewind(trial, 2)
    assert (record.state, [epoch for epoch, _ in record.epochs]) == (TrialState.WAITING, [0, 1])
    assert store.checkpoint(trial).epoch == 2
    start(store, trial, epoch=2)
    run(store, trial, 2, 3)
    assert [epoch for epoch, _ in record.epochs] == [0, 1, 2]
    assert store.checkpoint(trial).epoch == 2


def test_rewinding_drops_later_checkpoints(place):
    store, (trial, *_) = place.open(plan())
    start(store, trial)
    run(store, trial, 0, 4)
    save(store, trial, 2)
    save(store, trial, 4)
    store.rewind(trial, 3)
    assert store.checkpoint(trial).epoch == 2
    store.rewind(trial, 0)
    assert store.checkpoint(trial) is None
    assert store[trial].epochs == []


def test_rewinding_forgets_a_divergence_that_is_undone_and_no_other(place):
    store, (trial, *_) = place.open(plan())
    start(store, trial)
    run(store, trial, 0, 1)
    store.write(EpochEnded(trial, 1, {"loss": math.nan}))
    run(store, trial, 2, 3)
    assert "in epoch 2 " in store.rewind(trial, 2).error
    assert store.rewind(trial, 1).error == ""


def test_the_end_of_a_trial_is_a_checkpoint_where_it_came_with_its_memory(place):
    store, (trial, *_) = place.open(plan())
    start(store, trial)
    run(store, trial, 0, 3)
    save(store, trial, 2)
    finish(store, trial, 5.0, MEMORY)
    end = of_checkpoint(Checkpoint(trial, 3, weights(5.0), MEMORY))
    assert of_checkpoint(store.checkpoint(trial)) == end
    assert of_weights(store.weights(trial)) == of_weights(weights(5.0))
    start(store, trial, epoch=3)
    assert store.weights(trial) is None
    assert of_checkpoint(store.checkpoint(trial)) == end
    assert len(store[trial].epochs) == 3
    store.rewind(trial, 2)
    assert store.checkpoint(trial) is None


def test_states_of_all_kinds_of_arrays_come_back_exactly(place):
    store, (trial, *_) = place.open(plan())
    arrays = [
        np.array(3.5, "float32"),
        np.zeros((0, 3)),
        np.arange(6, dtype="int64").reshape(2, 3).T,
        np.array([1.5, -0.0, np.nan, np.inf], ml_dtypes.bfloat16),
        np.ones(3, ml_dtypes.float8_e4m3fn),
        np.array([True, False]),
        np.array([2**64 - 1], "uint64"),
        np.array([1 + 2j], "complex64"),
        np.array(["é", ""]),
    ]
    memory = {
        "numbers": [0.1, -0.0, math.nan, -math.inf, 2**200, True, None, np.float32(0.1)],
        "texts": ("", "é\0\ud800", ()),
        "nested": {"": [{"a": np.arange(3)}], "dict": {"tuple": [1]}},
    }
    start(store, trial)
    run(store, trial, 0, 1)
    store.write(Checkpoint(trial, 1, Weights(State(arrays, [], [], [])), memory))
    found = store.checkpoint(trial)
    assert repr(found.memory) == repr(memory)
    for ours, theirs in zip(found.weights.state.trainable, arrays, strict=True):
        assert (ours.dtype, ours.shape, ours.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes())


# --- interruption, descriptions, ends ---


def test_an_interruption_marks_what_has_not_ended(place):
    store, (a, b, c, d) = place.open(plan())
    start(store, a)
    finish(store, a)
    start(store, b)
    run(store, b, 0, 2)
    start(store, c)
    store.interrupt(diverged=c)
    assert states(store) == ["done", "interrupted", "diverged", "interrupted"]
    assert len(store[b].epochs) == 2
    assert [store.unfinished(trial) for trial in (a, b, c, d)] == [False, True, False, True]


def test_a_description_is_kept_per_variant(place):
    store, trials = place.open(plan())
    store.describe(trials[0], '{"é": 1}')
    assert [store.description(trial) for trial in trials] == ['{"é": 1}'] * 2 + [None] * 2


def test_flush_and_close_can_be_called_again_and_reading_goes_on(place):
    store, (trial, *_) = place.open(plan())
    start(store, trial)
    run(store, trial, 0, 1)
    finish(store, trial)
    before = of_records(store)
    for _ in range(2):
        store.flush()
        store.close()
    assert of_records(store) == before


# --- where trials were trained ---


def test_machine_and_commit_are_kept_when_there_is_something_to_tell(place):
    asked = []
    store, (trial, *_) = place.open(plan(), site=lambda: asked.append(1) or Site("a machine, é\0", "abc123"))
    store.flush()
    assert (store.sites(), asked) == ([], [])
    start(store, trial)
    run(store, trial, 0, 2)
    store.flush()
    run(store, trial, 2, 3)
    store.flush()
    records = store if place.store is None else place.read()
    assert records.sites() == store.sites() == [Site("a machine, é\0", "abc123")]


# --- logs ---

LOGS = [
    {},
    {"loss": -0.0, "val_loss": math.nan, "a": math.inf, "b": -math.inf, "c": 5e-324, "d": 0.1},
    {"loss": 1, "flag": True, "text": "x", "none": None, "f32": np.float32(0.1), "i": np.int64(2**62)},
    {"loss": 0.5, "per class": np.array([0.1, 0.2], "float32"), "list": [1, 2.5]},
    {
        "": 1.0,
        "'; DROP TABLE fairlane_epochs; --": 2.0,
        "é\0\x1a\ud800": 3.0,
        "x" * 4000: 4.0,
        "../../x": 5.0,
    },
]


@pytest.mark.parametrize("logs", LOGS, ids=["none", "floats", "scalars", "arrays", "names"])
def test_logs_stand_as_they_were_logged_and_in_their_order(place, logs):
    store, (trial, *_) = place.open(plan())
    start(store, trial)
    store.write(EpochEnded(trial, 0, logs))
    store.write(EpochEnded(trial, 7, {"loss": 1.0}))
    store.flush()
    records = store if place.store is None else place.read()
    assert repr(next(iter(records)).epochs) == repr([(0, logs), (7, {"loss": 1.0})])
    assert store.notes == []


# --- memory and the others agree on any sequence of events ---

EPOCH = st.integers(0, 4)
NUMBER = st.one_of(st.floats(), st.integers(-3, 3), st.booleans(), st.none(), st.text(max_size=3))
LOG_NAMES = st.sampled_from(["loss", "mae", "val_loss", "é\0"])
EVENTS = st.one_of(
    st.tuples(st.just("start"), EPOCH),
    st.tuples(st.just("epoch"), EPOCH, st.dictionaries(LOG_NAMES, NUMBER, max_size=3)),
    st.tuples(st.just("epoch"), EPOCH, st.dictionaries(LOG_NAMES, st.floats(), max_size=3)),
    st.tuples(st.just("save"), EPOCH),
    st.tuples(st.just("done"), st.booleans()),
    st.tuples(st.just("failed"), st.text(max_size=3)),
    st.tuples(st.just("rewind"), EPOCH),
    st.tuples(st.just("interrupt"), st.booleans()),
    st.tuples(st.just("describe"), st.text(max_size=3)),
    st.tuples(st.just("tested"), st.dictionaries(LOG_NAMES, st.floats(), max_size=2), st.text(max_size=1)),
    st.tuples(st.just("flush")),
)
SEQUENCES = st.lists(st.tuples(st.integers(0, 1), EVENTS), max_size=25)


def act(store, trial, event):
    """Do it; return the words of a refusal."""
    kind, *values = event
    try:
        match kind:
            case "start":
                store.write(TrialStarted(trial, "lanes", epoch=values[0]))
            case "epoch":
                store.write(EpochEnded(trial, *values))
            case "save":
                save(store, trial, values[0])
            case "done":
                finish(store, trial, memory=MEMORY if values[0] else None)
            case "failed":
                store.write(TrialFailed(trial, None, *values, traceback="T"))
            case "tested":
                store.write(events.Tested(trial, *values))
            case "rewind":
                store.rewind(trial, values[0])
            case "interrupt":
                store.interrupt(trial if values[0] else None)
            case "describe":
                store.describe(trial, values[0])
            case "flush":
                store.flush()
    except StoreError as error:
        return str(error)
    return ""


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(sequence=SEQUENCES)
def test_memory_and_the_others_agree_on_any_sequence_of_events(lasting, sequence):
    memory, planned = MemoryStore(), plan(1, 2)
    ours = memory.adopt(planned, [3, 3])
    name = f"-{len(lasting.opened)}"
    store, theirs = lasting.open(planned, name=name)
    for number, event in sequence:
        assert act(store, theirs[number], event) == act(memory, ours[number], event)
    assert of_records(store) == of_records(memory)
    assert of_records(lasting.read(name)) == of_records(memory)
    store.close()
    again, trials = lasting.open(planned, name=name)
    expected = of_records(memory)
    for record, *_ in expected:  # a process that has ended has cut off what it ran
        if record["state"] is TrialState.RUNNING:
            record["state"] = TrialState.INTERRUPTED
    assert of_records(again) == expected
    assert [again.description(t) for t in trials] == [memory.description(t) for t in ours]
    again.close()
