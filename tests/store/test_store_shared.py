"""A study that several processes write: each trial is leased to one of them, and nothing is counted twice."""

import json
import threading
import time
import warnings
from contextlib import suppress

import pytest
import sqlalchemy as sa
from _stores import Place, finish, of_records, plan, run, save, start

from fairlane.errors import StoreError, StudyError
from fairlane.store import Decision, lease, overview, rename, tables
from fairlane.store.lease import SILENCE
from fairlane.trials import TrialFailed, TrialState

SPEC = {"model": {"build": "def build(): ..."}}


def shared(place, planned=None, **given):
    return place.open(planned or plan(), shared=True, spec=SPEC, **given)


def leased(store, wanted, most=2, alone=True):
    return store.lease(wanted, lambda free, processes: most, alone)


def numbers(trials):
    return [trial.number for trial in trials]


def train(store, trial, value=1.0):
    start(store, trial)
    run(store, trial, 0, 3)
    finish(store, trial, value)


@pytest.fixture
def lasting(lasting):
    """The processes that were lost in a test can't be closed as others."""
    yield lasting
    for store in lasting.opened:
        with suppress(StoreError):
            store.close()
    lasting.opened.clear()


def die(store):
    """What is left of a process that was killed: it gives no sign of life, and says nothing more."""
    store._claim._pulse.stop()
    store._claim._writer.let_go()


def silent(store, seconds):
    """Its process is on another machine, and gave its last sign of life some time ago."""
    store._claim._pulse.stop()
    values = {"place": "", "heartbeat": tables.sharers.c.heartbeat - seconds}
    with store._database.transaction() as connection:
        connection.execute(sa.update(tables.sharers).values(**values))


def test_no_clock_but_the_servers_counts(tmp_path, postgres_url, monkeypatch):
    """A machine whose clock is an hour ahead does not take others' studies for left."""
    with Place(f"{postgres_url}&artifacts={tmp_path / 'files'}", "skewed") as place:
        monkeypatch.setattr(lease, "_machine", lambda: "")  # as where processes of others can't be looked up
        alone, _ = place.open(plan(), spec=SPEC)
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 3600.0)
        with pytest.raises(StoreError, match=r"Its last sign of life was \d\d? s ago"):
            place.open(plan(), spec=SPEC)
        assert overview(place.store, "skewed")[0]["writer"] == "this process"
        alone.close()
        first, trials = shared(place)
        leased(first, trials)
        monkeypatch.setattr(time, "time", real)
        second, same = shared(place)
        assert leased(second, same).processes == 2
        first.close()
        second.close()


def test_each_trial_is_one_processs_and_all_see_all(lasting):
    first, trials = shared(lasting)
    second, same = shared(lasting)
    assert numbers(leased(first, trials).trials) == [0, 1]
    answer = leased(second, same)
    assert numbers(answer.trials) == [2, 3]
    assert answer.left == 2
    assert answer.processes == 2
    assert leased(second, same).trials == []
    for store, some in ((first, trials[:2]), (second, same[2:])):
        for trial in some:
            train(store, trial, trial.number)
    first.flush()
    answer = leased(second, same)
    assert answer.left == 0
    assert {r.trial.number for r in answer.changed} == {0, 1}
    first.close()
    second.close()
    there = of_records(lasting.read())
    assert of_records(first) == there
    assert of_records(second) == there
    assert overview(lasting.store, lasting.name)[0]["states"] == {"done": 4}


def test_what_a_killed_process_had_goes_on_from_its_checkpoint(lasting):
    killed, trials = shared(lasting)
    other, same = shared(lasting)
    leased(killed, trials)
    start(killed, trials[0])
    run(killed, trials[0], 0, 2)
    save(killed, trials[0], 1)
    killed.flush()
    die(killed)
    assert numbers(leased(other, same, most=8).trials) == [2, 3]  # first those that have ended nobody
    for trial in same[2:]:
        train(other, trial)
    assert numbers(leased(other, same, most=8, alone=False).trials) == []
    assert numbers(leased(other, same, most=8).trials) == [0]
    assert any("was lost" in note for note in other.notes)
    assert other.checkpoint(same[0]).epoch == 1
    assert len(other[same[0]].epochs) == 2
    start(other, same[0], epoch=1)
    run(other, same[0], 1, 3)
    finish(other, same[0])
    train(other, leased(other, same).trials[0])
    other.close()
    run(killed, trials[0], 2, 3)
    with pytest.raises(StoreError, match="others have taken over"):
        killed.flush()
    losses = [[epoch for epoch, _ in record.epochs] for record in lasting.read()]
    assert losses == [[0, 1, 2]] * 4


def test_a_process_that_is_silent_loses_its_trials_in_a_minute(lasting):
    first, trials = shared(lasting)
    leased(first, trials, most=4)
    second, same = shared(lasting)
    silent(first, SILENCE / 2)
    assert leased(second, same).left == 4
    with first._database.transaction() as connection:
        late = tables.sharers.c.heartbeat - SILENCE
        mine = tables.sharers.c.token == first._claim.token
        connection.execute(sa.update(tables.sharers).where(mine).values(heartbeat=late))
    assert numbers(leased(second, same, most=16).trials) == [0, 1]


def test_trials_that_end_their_processes_are_tried_alone_and_then_given_up(lasting):
    for expected in ([0, 1, 2, 3], [0, 1], [2, 3], [0]):
        one, trials = shared(lasting)
        answer = leased(one, trials, most=16)
        assert numbers(answer.trials) == expected
        assert answer.fatal == []
        die(one)
    one, trials = shared(lasting)
    answer = leased(one, trials, most=16)
    assert numbers(answer.fatal) == [0]
    assert numbers(answer.trials) == [1]
    one.write(TrialFailed(trials[0], None, "it ends processes", ""))
    start(one, trials[1])
    run(one, trials[1], 0, 1)
    save(one, trials[1], 1)
    one.flush()
    shared(lasting)  # else it would be a new call, which tries again what failed
    die(one)
    two, trials = shared(lasting)  # trial 1 has come on: the process may have been lost by chance
    assert numbers(leased(two, trials, most=16).trials) == [1]
    assert two[trials[0]].state is TrialState.FAILED


def test_what_failed_is_tried_again_by_a_new_call_alone(lasting):
    first, trials = shared(lasting)
    for trial in leased(first, trials, most=4).trials:
        first.write(TrialFailed(trial, None, "no", ""))
    first.flush()
    second, same = shared(lasting)
    assert leased(second, same).trials == []
    first.close()
    second.close()
    third, again = shared(lasting)
    assert numbers(leased(third, again).trials) == [0, 1]


def test_who_may_take_part(lasting):
    first, _ = shared(lasting)
    with pytest.raises(StoreError, match=r"is being trained by this process: .*workers=fairlane\.Shared"):
        lasting.open(plan(), spec=SPEC)
    with pytest.raises(StudyError, match="was trained for another request"):
        lasting.open(plan(), shared=True, spec={"model": {"build": "def build(): pass"}})
    with pytest.raises(StudyError, match="resume='force'"):
        shared(lasting, resume="force")
    with pytest.raises(StoreError, match="is being trained by this process"):
        rename(lasting.store, lasting.name, "another")
    assert overview(lasting.store, lasting.name)[0]["writer"] == "this process"
    first.close()
    alone, _ = lasting.open(plan(), spec=SPEC)
    with pytest.raises(StoreError, match="is being trained by this process"):
        shared(lasting)
    alone.close()
    assert overview(lasting.store, lasting.name)[0]["writer"] == ""


def test_a_file_is_for_one_machine(tmp_path):
    from _stores import Place

    with Place(str(tmp_path / "runs.db"), "a") as place:
        first, _ = shared(place)
        with first._database.transaction() as connection:
            elsewhere = {"place": "another-boot/pid:[1] 12", "host": "node7"}
            connection.execute(sa.update(tables.sharers).values(**elsewhere))
        with pytest.raises(StoreError, match=r"on node7, another machine, and .*PostgreSQL"):
            shared(place)


def at_once(count, act):
    """Do something in so many threads at the same moment; the first error is raised."""
    barrier, errors = threading.Barrier(count), []

    def work(number):
        try:
            barrier.wait()
            act(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_all_begin_at_the_same_moment(lasting):
    """Four open a study that is not there, and train all of it: each trial once."""
    planned, trained = plan(6, 2), []

    def take_part(number):
        store, trials = shared(lasting, planned)
        while (answer := leased(store, trials, most=1)).trials or answer.left:
            for trial in answer.trials:
                trained.append(trial.number)
                train(store, trial)
        store.close()

    at_once(4, take_part)
    assert sorted(trained) == list(range(12))
    assert {str(record.state) for record in lasting.read()} == {"done"}


def test_fifty_studies_are_written_to_one_server_at_once(postgres_url, tmp_path):
    """While others list them and read one: no row is lost, and nobody waits for ever."""
    from _stores import Place

    store, done = f"{postgres_url}&artifacts={tmp_path}", threading.Event()
    with Place(store, tmp_path.name) as place:
        place.open(plan())  # makes the tables

        def write(number):
            one, trials = place.open(plan(), name=f"-{number}")
            for trial in trials:
                train(one, trial, number)
            one.close()

        def look():
            while not done.is_set():
                found = [study for study in overview(store) if study["name"].startswith(tmp_path.name)]
                assert {study["trials"] for study in found} <= {0, 4}

        reader = threading.Thread(target=look)
        reader.start()
        try:
            at_once(50, write)
        finally:
            done.set()
            reader.join()
        listed = [study for study in overview(store) if study["name"].startswith(f"{tmp_path.name}-")]
        assert [study["states"] for study in listed] == [{"done": 4}] * 50
        assert [study["epochs"] for study in listed] == [12] * 50
        for number in (0, 17, 49):
            records = place.read(f"-{number}")
            assert [len(record.epochs) for record in records] == [3] * 4
            assert {float(records.weights(r.trial).state[0][1]) for r in records} == {float(number)}


def test_what_others_do_is_seen_at_any_time(lasting):
    """A search decides by it: epochs while they train, ends, and decisions."""
    (first, own), (second, other) = shared(lasting), shared(lasting)
    (trial, *_) = leased(first, own).trials
    start(first, trial)
    run(first, trial, 0, 2)
    first.flush()
    (changed,) = second.look()
    assert (changed.trial, len(changed.epochs)) == (other[trial.number], 2)
    assert second.look() == []
    first.agree([(Decision(("rung", 0), {"promoted": [1]}), None)])
    assert second.decisions() == []
    assert second.look() == []
    assert [one.content for one in second.decisions()] == [{"promoted": [1]}]
    first.interrupt()  # as where it is lost; another one trains it, and this one sees that
    first.close()
    second.look()
    assert second[changed.trial].state is TrialState.INTERRUPTED
    third, trials = shared(lasting)
    (again, *_) = leased(third, trials).trials
    start(third, again)
    run(third, again, 0, 3)
    finish(third, again)
    third.flush()
    assert changed in second.look()
    assert (changed.state, len(changed.epochs)) == (TrialState.DONE, 3)


def test_models_of_one_variant_that_differ_are_all_described(lasting):
    """A builder may draw a structure for each seed: no process puts its own in the place of another's."""
    (first, own), (second, other) = shared(lasting), shared(lasting)
    one, two = (trials[number] for trials, number in ((own, 0), (other, 1)))
    assert one.variant.number == two.variant.number

    def text(name):
        return json.dumps({"config": {"activation": name}})

    first.describe(one, text("relu"))
    second.describe(two, text("tanh"))
    second.describe(two, text("tanh"))
    for store in (first, second):
        store.close()
    read = lasting.read()
    found = [json.loads(read.description(record.trial))["config"] for record in list(read)[:2]]
    assert found == [{"activation": "relu"}, {"activation": "tanh"}]


def test_the_notes_are_not_warnings_yet(lasting):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one, trials = shared(lasting)
        leased(one, trials)
