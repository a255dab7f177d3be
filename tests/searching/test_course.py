"""The course of a search, with values of a formula instead of training: who begins, goes on and ends."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fairlane as fl
from fairlane.searching.course import Course
from fairlane.searching.optuna_samplers import optuna_sampler
from fairlane.searching.rungs import Bracket, halving, hyperband, is_worse_than_median, promoted
from fairlane.searching.samplers import RandomSampler, Sampler
from fairlane.searching.steps import Begin, Confirm, End, TrainTo
from fairlane.searching.stopping import stopping_of

SPACE = fl.Space({"quality": fl.Float(0.0, 1.0)})


class Log:
    def __init__(self, made=None):
        self.made = dict(made or {})

    def find(self, *about):
        return self.made.get(about)

    def add(self, *about, **content):
        assert about not in self.made
        self.made[about] = content


class Learner(Sampler):
    """Proposes what depends on all that is known, so that any difference shows."""

    name, learns = "learner", True

    def propose(self, space, number, seen):
        known = sum(sum(one.values) + one.epochs for one in seen if one.state != "running")
        return {"quality": (math.sin(number + known) + 1) / 2}


class Farm:
    """Trains by a formula, one epoch of one variant at a time, in an order of its own.

    With ``paced``, none runs ahead; with ``late``, it shows some time after its last epoch that one has ended.
    """

    def __init__(self, course, order, ends=None, known=None, paced=False, late=False):
        self.paced, self.late, self.course = paced, late, course
        self.gone = set()
        self.order, self.ends = order, ends or {}
        self.trained, self.allowed, self.over = {}, {}, set()
        self.quality, self.begun, self.confirmed = {}, [], ()
        self.known = known or {}

    def epochs(self, variant):
        return self.trained.get(variant, 0)

    def ended(self, variant):
        return variant in self.gone or (not self.late and self._is_at_its_end(variant))

    def _is_at_its_end(self, variant):
        return variant in self.ends and self.epochs(variant) >= self.ends[variant]

    def can_go_on(self, variant):
        return True

    def values(self, variant, epochs):
        return (self.quality[variant] + 1 / max(1, epochs),)

    def run(self, stop_after=math.inf):
        steps = 0
        while True:
            while found := self.course.advance(self):
                self.take(found)
            able = [
                v
                for v, n in self.allowed.items()
                if self.epochs(v) < n and v not in self.over and not self._is_at_its_end(v)
                if not self.paced or self.epochs(v) < self.course.reach(v)
            ]
            unseen = [v for v in self.ends if self._is_at_its_end(v) and not self.ended(v)]
            if unseen and (not able or self.order.random() < 0.2):
                self.gone.add(self.order.choice(unseen))
                continue
            if not able or steps >= stop_after:
                return self
            chosen = self.order.choice(able)
            self.trained[chosen] = self.epochs(chosen) + 1
            steps += 1

    def take(self, steps):
        for step in steps:
            match step:
                case Begin():
                    self.begun.append(step.variant)
                    self.quality[step.variant] = step.hyperparameters["quality"]
                    self.trained[step.variant] = self.known.get(step.variant, 0)
                case TrainTo():
                    self.allowed[step.variant] = step.epochs
                case End():
                    self.over.add(step.variant)
                case Confirm():
                    self.confirmed = step.variants


def course(stop="hyperband", trials=49, epochs=27, sampler=None, width=10**9, confirm=0, log=None):
    made = sampler or RandomSampler(0, trials)
    stopping = stopping_of(stop)
    return Course(SPACE, made, stopping, trials, epochs, width, confirm, [7, 8], log or Log())


def test_hyperband_has_the_brackets_of_kerastuner():
    kerastuner = pytest.importorskip("keras_tuner")
    for epochs, factor in [(27, 3), (100, 3), (10, 3), (16, 2), (81, 3)]:
        oracle = kerastuner.oracles.HyperbandOracle("val_loss", max_epochs=epochs, factor=factor)
        theirs = [
            Bracket(
                tuple(oracle._get_size(s, i) for i in range(s + 1)),
                tuple(oracle._get_epochs(s, i) for i in range(s + 1)),
            )
            for s in reversed(range(oracle._get_num_brackets()))
        ]
        assert hyperband(epochs, factor) == theirs


def test_hyperband_trains_375_epochs_of_49_variants():
    # Both numbers are those of KerasTuner's Hyperband(max_epochs=27, factor=3), from its table of brackets.
    farm = Farm(course(), random.Random(0)).run()
    assert len(farm.begun) == 49
    assert sum(farm.trained.values()) == 375
    assert sum(farm.course.expected(variant) for variant in farm.begun) == pytest.approx(375)
    assert sorted(farm.trained.values()).count(27) == 1 + 2 + 2 + 4


@pytest.mark.parametrize("stop", ["hyperband", "halving", "median", None])
@settings(max_examples=15, deadline=None)
@given(
    order=st.integers(0, 10**6),
    learns=st.booleans(),
    width=st.sampled_from([1, 3, 8, 10**9]),
    paced=st.booleans(),
    late=st.booleans(),
)
def test_the_course_does_not_depend_on_which_trial_was_faster(stop, order, learns, width, paced, late):
    ends = {2: 2, 5: 1}  # by callbacks of their own

    def run(seed, paced=False, late=False):
        log = Log()
        sampler = Learner() if learns else None
        made = course(stop, 20, 9, sampler, width, 3, log)
        farm = Farm(made, random.Random(seed), ends, paced=paced, late=late).run()
        return log.made, farm.trained, farm.over, farm.confirmed

    assert run(order, paced, late) == run(0)


def test_where_places_are_few_nobody_runs_ahead_of_the_clock():
    wide, narrow = course("hyperband", 20, 9), course("hyperband", 20, 9, width=4)
    for made in (wide, narrow):
        farm = Farm(made, random.Random(0))
        farm.take(made.advance(farm))
    assert wide.reach(0) == math.inf
    assert [narrow.reach(variant) for variant in farm.begun] == [1, 1, 1, 1]
    farm.trained = dict.fromkeys(farm.begun, 1)
    narrow.advance(farm)
    assert narrow.reach(0) == 2


@pytest.mark.parametrize("stop", ["hyperband", "median"])
@settings(max_examples=15, deadline=None)
@given(moment=st.integers(0, 80), order=st.integers(0, 10**6))
def test_a_search_that_is_stopped_at_any_moment_goes_on_the_same(stop, moment, order):
    whole = Log()
    expected = Farm(course(stop, 20, 9, Learner(), 6, 3, whole), random.Random(1)).run()
    half = Log()
    first = Farm(course(stop, 20, 9, Learner(), 6, 3, half), random.Random(order)).run(moment)
    # Some epochs are lost, as where the newest checkpoint is older.
    known = {v: max(0, n - random.Random(order + v).randrange(3)) for v, n in first.trained.items()}
    again = Log(half.made)
    second = Farm(course(stop, 20, 9, Learner(), 6, 3, again), random.Random(order), known=known).run()
    assert again.made == whole.made
    assert (second.trained, second.confirmed) == (expected.trained, expected.confirmed)


@pytest.mark.parametrize("name", ["tpe", "cmaes", "nsga2"])
def test_samplers_of_optuna_go_on_the_same(name):
    space = fl.Space({"quality": fl.Float(0.0, 1.0), "other": fl.Float(0.0, 1.0)})

    def searched(log, moment=math.inf):
        made = Course(space, optuna_sampler(name, 0, 60), stopping_of(None), 60, 2, 8, 0, [], log)
        Farm(made, random.Random(0)).run(moment)
        return log.made

    whole = searched(Log())
    assert searched(Log(searched(Log(), 90))) == whole


def test_more_trials_add_to_a_search():
    log = Log()
    Farm(course(None, 6, 3, log=log), random.Random(0)).run()
    more = Farm(course(None, 10, 3, log=Log(log.made)), random.Random(0)).run()
    assert len(more.begun) == 10
    assert [log.made["variant", i] for i in range(6)] == [
        more.course._log.made["variant", i] for i in range(6)
    ]


def test_never_more_than_half_are_stopped_by_the_median():
    assert is_worse_than_median(3.0, [1.0, 2.0, 4.0, 5.0], 1, 9) is False
    assert is_worse_than_median(3.1, [1.0, 2.0, 3.0, 5.0], 1, 9) is True
    assert is_worse_than_median(9.0, [1.0, 2.0, 3.0], 1, 9) is False  # too few to compare with
    farm = Farm(course("median", 16, 9), random.Random(0)).run()
    assert 0 < len(farm.over) <= 8


def test_what_diverged_is_never_promoted():
    assert promoted({0: math.inf, 1: 2.0, 2: 1.0}, 3) == [1, 2]
    assert halving(9, 9) == Bracket((9, 3, 1), (1, 3, 9))


def test_the_best_are_confirmed():
    farm = Farm(course("hyperband", 20, 9, confirm=3), random.Random(0)).run()
    whole = [v for v, n in farm.trained.items() if n == 9]
    assert list(farm.confirmed) == sorted(whole, key=lambda v: farm.quality[v])[:3]
