"""The parts of the pool engine that decide: who gets which job, and what becomes of those of a lost worker."""

from dataclasses import replace

from _jobs import Listed, job

from fairlane.engines.pool.ledger import Ledger
from fairlane.engines.pool.messages import Kind
from fairlane.engines.pool.waiting import Waiting
from fairlane.trials import Checkpoint

BOTH = (Kind.LANES, Kind.REFERENCE)
LANES = Kind.LANES


def taken(waiting, worker, count, kind=LANES):
    """The numbers of the trials that a worker gets, of so many that it wants."""
    waiting.wants(worker, kind, True)
    numbers = []
    while len(numbers) < count and (one := waiting.take(worker, kind)) is not None:
        waiting.has(worker, one, 1)
        numbers.append(one.trial.number)
    if numbers:
        waiting.wants(worker, kind, False)
    return numbers


def structures(*names):
    """Jobs, numbered, each of a structure."""
    return [job(i, units=name) for i, name in enumerate(names)]


def test_a_structure_goes_to_one_worker_first():
    waiting = Waiting(Listed(structures(*"AAABBB")), BOTH)
    assert taken(waiting, 0, 2) == [0, 1]
    assert taken(waiting, 1, 2) == [3, 4]  # nobody has B
    assert taken(waiting, 2, 2) == [2, 5]  # both have owners, who want nothing now
    assert not waiting


def test_who_has_a_structure_and_wants_more_is_given_it():
    jobs = structures(*"AAAA")
    waiting = Waiting(Listed(jobs), BOTH)
    assert taken(waiting, 0, 2) == [0, 1]
    waiting.wants(0, LANES, True)
    assert taken(waiting, 1, 2) == []
    assert taken(waiting, 0, 1) == [2]
    assert taken(waiting, 1, 2) == [3]
    for one in jobs[:3]:
        waiting.has(0, one, -1)
    assert waiting.is_empty(0)


def test_what_is_not_for_lanes_goes_to_anybody():
    waiting = Waiting(Listed([replace(one, reason="no") for one in structures(*"AAA")]), BOTH)
    assert taken(waiting, 0, 8) == []
    assert taken(waiting, 0, 1, Kind.REFERENCE) == [0]
    assert taken(waiting, 1, 1, Kind.REFERENCE) == [1]
    alone = Waiting(Listed([replace(job(0), reason="no")]), [LANES])
    assert taken(alone, 0, 1) == [0]  # it is lanes that have to say no


def test_jobs_that_come_back_come_first_and_those_set_apart_alone():
    jobs = structures(*"ABC")
    waiting = Waiting(Listed(jobs[2:]), BOTH)
    waiting.back(jobs[:1])
    waiting.set_apart(jobs[1:2])
    assert waiting.together(0, Kind.REFERENCE) == []
    assert waiting.together(0, LANES) == [jobs[1]]
    waiting.has(0, jobs[1], 1)
    waiting.set_apart(jobs[1:2])
    assert waiting.together(0, LANES) == []  # it has one
    assert taken(waiting, 1, 8) == [0, 2]


def test_the_feed_is_over_when_it_says_so():
    waiting = Waiting(Listed([None]), BOTH)
    assert waiting.look() is None
    assert not waiting.over
    waiting.look()
    assert waiting.over
    waiting.back(structures("A"))
    assert not waiting.over


# --- lost workers ---------------------------------------------------------------------------------------


def numbers(entries):
    return [entry.job.trial.number for entry in entries]


def lost(ledger, jobs, worker=0):
    """What becomes of jobs whose worker is lost."""
    for one in jobs:
        ledger.enter(one, worker)
    fates = ledger.lose(worker)
    assert not ledger.of(worker)
    return numbers(fates.again), [numbers(group) for group in fates.apart], numbers(fates.failed)


def test_a_trial_that_ends_workers_is_found_by_halving():
    ledger, jobs = Ledger(), [job(i) for i in range(4)]
    assert lost(ledger, jobs) == ([0, 1, 2, 3], [], [])
    assert lost(ledger, jobs) == ([], [[0, 1], [2, 3]], [])
    assert lost(ledger, jobs[2:]) == ([], [[2], [3]], [])
    assert lost(ledger, jobs[3:]) == ([], [], [3])


def test_a_trial_that_was_alone_both_times_fails():
    ledger, one = Ledger(), job(0)
    assert lost(ledger, [one]) == ([0], [], [])
    assert lost(ledger, [one]) == ([], [], [0])


def test_who_was_there_for_the_first_time_is_no_suspect():
    ledger, jobs = Ledger(), [job(i) for i in range(3)]
    lost(ledger, jobs[:1])
    assert lost(ledger, jobs) == ([1, 2], [[0]], [])


def test_jobs_go_on_from_the_last_checkpoint():
    ledger, one = Ledger(), job(0)
    first = Checkpoint(one.trial, 2, None, {})
    entry = ledger.enter(replace(one, checkpoint=first), 5)
    assert entry.again().checkpoint is first
    second = Checkpoint(one.trial, 4, None, {})
    ledger.note(entry, second)
    (again,) = ledger.lose(5).again
    assert again.again().checkpoint is second


def test_a_copy_that_is_lost_can_not_begin_again():
    ledger, jobs = Ledger(), [replace(job(0), forked=True), job(1)]
    assert lost(ledger, jobs) == ([1], [], [0])
