"""How far studies are, told from rows alone, in each durable store."""

from _stores import finish, plan, run, start

from fairlane.store import overview
from fairlane.trials import TrialFailed, TrialState


def row(place, name=""):
    (found,) = overview(place.store, place.name + name)
    return found


def test_progress_counts_epochs_and_trials(lasting):
    store, trials = lasting.open(plan(), epochs=3)
    store.flush()
    told = row(lasting)
    assert (told["trials"], told["states"]) == (4, {TrialState.WAITING: 4})
    assert (told["epochs"], told["planned"]) == (0, 12)
    assert told["writer"] == "this process"
    done, early, failed, _ = trials
    for trial, epochs in zip(trials, (3, 2, 1, 2), strict=True):
        start(store, trial)
        run(store, trial, 0, epochs)
    finish(store, done)
    finish(store, early)
    store.write(TrialFailed(failed, 1, "ValueError: no", "Traceback"))
    store.flush()
    told = row(lasting)
    assert told["states"] == {TrialState.DONE: 2, TrialState.FAILED: 1, TrialState.RUNNING: 1}
    # What has ended will train no more: 3, 2 and 1 epochs, and 3 of the one that is trained.
    assert (told["epochs"], told["planned"]) == (8, 9)
    store.close()
    told = row(lasting)
    assert told["states"] == {TrialState.DONE: 2, TrialState.FAILED: 1, TrialState.INTERRUPTED: 1}
    assert (told["epochs"], told["planned"], told["writer"]) == (8, 9, "")


def test_a_first_epoch_that_is_not_0_counts_from_where_it_stands(lasting):
    store, (trial, *_) = lasting.open(plan(1, 1), epochs=30)
    start(store, trial, 10)
    run(store, trial, 10, 20)
    store.flush()
    assert (row(lasting)["epochs"], row(lasting)["planned"]) == (20, 30)


def test_the_revision_changes_with_every_change_and_only_then(lasting):
    store, (first, *_) = lasting.open(plan(1, 2))
    store.flush()
    seen = [row(lasting)["revision"]]
    assert row(lasting)["revision"] == seen[0]
    start(store, first)
    store.flush()
    seen.append(row(lasting)["revision"])
    run(store, first, 0, 1)
    store.flush()
    seen.append(row(lasting)["revision"])
    store.close()
    seen.append(row(lasting)["revision"])
    assert len(set(seen)) == 4


def test_one_study_can_be_asked_for(lasting):
    for name in ("a", "b"):
        store, _ = lasting.open(plan(1, 2), name=name)
        store.close()
    assert row(lasting, "b")["name"] == f"{lasting.name}b"
    assert row(lasting, "b")["trials"] == 2
    assert overview(lasting.store, "none") == []
    assert {f"{lasting.name}a", f"{lasting.name}b"} <= {one["name"] for one in overview(lasting.store)}
