"""TPE as a search uses it: as Optuna's, and it does not propose what a variant has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from fairlane.searching.domains import Choice, Float, Int
from fairlane.searching.optuna_samplers import _OptunaSampler, optuna_sampler
from fairlane.searching.samplers import Seen
from fairlane.searching.space import Space
from fairlane.searching.tpe import Memory


def _seen(count: int) -> list[Seen]:
    return [Seen({"a": number, "b": 0}, "running") for number in range(count)]


def test_memory_puts_candidates_that_a_variant_has_last() -> None:
    memory = Memory(Space({"a": Int(0, 99), "b": Int(0, 9)}))
    memory.follow(_seen(100))  # more than its table has room for at first
    candidates = np.array([[99.0, 0.0], [2.0, 1.0], [1.0, 0.0]])
    assert memory.without_taken(candidates, np.array([3.0, 1.0, 2.0])).argmax() == 1
    only_taken = np.array([[2.0, 0.0], [1.0, 0.0]])
    assert memory.without_taken(only_taken, np.array([1.0, 2.0])).tolist() == [1.0, 2.0]


def _ended(found: dict[str, Any], number: int) -> Seen:
    value = (found["b"] - 0.3) ** 2 + found["a"]
    if number % 5 == 0:
        return Seen(found, "failed", (math.inf,), 1, (math.inf,))
    return Seen(found, "stopped" if number % 3 == 0 else "done", (value,), 1 + number % 2, (value,))


def _proposals(count: int) -> list[Any]:
    """A search of width 8, in a space in which TPE does not repeat itself."""
    space = Space(
        {
            "a": Choice([1, 2, 3]),
            "b": Float(0.0, 1.0),
            "c": Float(1e-4, 1.0, log=True),
            "d": [7],
            "f": Int(1, 300, log=True),
            "g": Choice([2, 1, 3]),
        }
    )
    sampler, seen = optuna_sampler("tpe", 0, 40), list[Seen]()
    for number in range(count):
        found = sampler.propose(space, number, seen)
        assert found is not None
        seen.append(Seen(found, "running"))
        if number >= 8:
            seen[number - 8] = _ended(dict(seen[number - 8].hyperparameters), number - 8)
    return [one.hyperparameters for one in seen]


def test_tpe_proposes_what_optunas_proposes(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna")
    ours = _proposals(40)
    monkeypatch.setattr(_OptunaSampler, "_remembers", lambda self, space, objectives: False)
    theirs = _proposals(40)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(other, rel=1e-6)  # Optuna's quantiles have an error of 1e-8


def test_another_search_is_not_what_memory_knows() -> None:
    memory = Memory(Space({"a": Int(0, 9)}))
    ended = [Seen({"a": number}, "done", (float(number),), 1, (float(number),)) for number in range(3)]
    assert memory.follow([ended[0], Seen({"a": 1}, "running")])
    assert memory.follow(ended)
    assert not memory.follow(ended[:2])
    assert not memory.follow([*ended[:2], Seen({"a": 2}, "done", (9.0,), 1, (9.0,))])
    assert not memory.follow([ended[1], *ended[1:]])


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
