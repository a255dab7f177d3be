"""TPE as a search uses it: as Optuna's, and it does not propose what a variant has."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fairlane.searching import optuna_samplers
from fairlane.searching.domains import Choice, Float
from fairlane.searching.optuna_samplers import optuna_sampler
from fairlane.searching.samplers import Seen
from fairlane.searching.space import Space
from fairlane.searching.tpe import Memory, usable


class _Kind:
    def to_internal_repr(self, value: Any) -> float:
        return float(value)


def test_memory_puts_candidates_that_a_variant_has_last() -> None:
    memory = Memory({"a": _Kind(), "b": _Kind()}, None)
    for number in range(100):  # more than its table has room for at first
        memory.begins({"a": number, "b": 0})
    samples = {"b": np.array([0.0, 1.0, 0.0]), "a": np.array([99.0, 2.0, 1.0])}
    assert memory.without_taken(samples, np.array([3.0, 1.0, 2.0])).argmax() == 1
    only_taken = {"a": np.array([2.0, 1.0]), "b": np.zeros(2)}
    assert memory.without_taken(only_taken, np.array([1.0, 2.0])).tolist() == [1.0, 2.0]


def test_a_sampler_without_the_parts_is_not_usable() -> None:
    optuna = pytest.importorskip("optuna")
    assert usable(optuna.samplers.TPESampler())
    assert not usable(SimpleNamespace(_rng=None))


def _ended(found: dict[str, Any], number: int) -> Seen:
    value = (found["b"] - 0.3) ** 2 + found["a"]
    if number % 5 == 0:
        return Seen(found, "failed", (math.inf,), 1, (math.inf,))
    return Seen(found, "stopped" if number % 3 == 0 else "done", (value,), 1 + number % 2, (value,))


def _proposals(count: int) -> list[Any]:
    """A search of width 8, in a space in which TPE does not repeat itself."""
    space = Space({"a": Choice([1, 2, 3]), "b": Float(0.0, 1.0), "c": Float(1e-4, 1.0, log=True), "d": [7]})
    sampler, seen = optuna_sampler("tpe", 0, 40), list[Seen]()
    for number in range(count):
        found = sampler.propose(space, number, seen)
        assert found is not None
        seen.append(Seen(found, "running"))
        if number >= 8:
            seen[number - 8] = _ended(dict(seen[number - 8].hyperparameters), number - 8)
    return [one.hyperparameters for one in seen]


def test_memory_gives_what_optuna_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna")
    ours = _proposals(40)
    monkeypatch.setattr(optuna_samplers, "usable", lambda sampler: False)
    assert ours == _proposals(40)


def test_another_search_is_not_what_memory_knows() -> None:
    memory = Memory({"a": _Kind()}, None)
    ended = [Seen({"a": number}, "done", (float(number),), 1, (float(number),)) for number in range(3)]
    assert memory.follow([ended[0], Seen({"a": 1}, "running")], dict)
    assert memory.follow(ended, dict)
    assert not memory.follow(ended[:2], dict)
    assert not memory.follow([*ended[:2], Seen({"a": 2}, "done", (9.0,), 1, (9.0,))], dict)
    assert not memory.follow([ended[1], *ended[1:]], dict)


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
