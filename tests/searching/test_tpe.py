"""TPE as a search uses it: it never proposes what a trial has, and looks at a trial once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fairlane.searching.domains import Choice, Float
from fairlane.searching.optuna_samplers import optuna_sampler
from fairlane.searching.samplers import Seen
from fairlane.searching.space import Space
from fairlane.searching.tpe import Memory


class _Kind:
    asked = 0

    def to_internal_repr(self, value: Any) -> float:
        self.asked += 1
        return float(value)


def test_memory_puts_candidates_that_a_trial_has_last() -> None:
    kinds = {"a": _Kind(), "b": _Kind()}
    memory = Memory(kinds)
    trials = [SimpleNamespace(number=n, params={"a": n, "b": 0}) for n in range(3)]
    for _ in range(2):
        columns = memory._columns(trials, kinds, None)
    assert columns["a"].tolist() == [0, 1, 2]
    assert kinds["a"].asked == 3
    samples = {"b": np.array([0.0, 1.0, 0.0]), "a": np.array([2.0, 2.0, 1.0])}
    assert memory.without_taken(samples, np.array([3.0, 1.0, 2.0])).argmax() == 1
    only_taken = {"a": np.array([2.0, 1.0]), "b": np.zeros(2)}
    assert memory.without_taken(only_taken, np.array([1.0, 2.0])).tolist() == [1.0, 2.0]


def test_memory_has_no_trials_at_first() -> None:
    kinds = {"a": _Kind()}
    assert Memory(kinds)._columns([], kinds, None)["a"].shape == (0,)


def test_tpe_does_not_repeat_itself_in_a_wide_wave() -> None:
    pytest.importorskip("optuna")
    space = Space({"a": Choice(list(range(10))), "b": Choice(list(range(10))), "c": Choice(["x", "y"])})
    sampler = optuna_sampler("tpe", 0, 100)
    seen: list[Seen] = []
    repeated = 0
    for number in range(70):
        found = sampler.propose(space, number, seen)
        assert found is not None
        repeated += any(one.hyperparameters == found for one in seen)
        value = float(found["a"] + found["b"])
        done = number < 20
        seen.append(Seen(found, "done", (value,), 1, (value,)) if done else Seen(found, "running"))
    assert repeated == 0  # without its memory, 4 of these are repetitions


def test_tpe_proposes_the_same_after_a_restart() -> None:
    pytest.importorskip("optuna")
    space = Space({"a": Choice(list(range(10))), "b": Float(0.0, 1.0), "c": 3})
    first = optuna_sampler("tpe", 0, 100)
    seen: list[Seen] = []
    for number in range(24):
        found = first.propose(space, number, seen)
        assert found is not None
        fresh = optuna_sampler("tpe", 0, 100).propose(space, number, seen) if number > 20 else found
        assert fresh == found
        seen.append(Seen(found, "done", (float(found["b"]),), 1, (float(found["b"]),)))
