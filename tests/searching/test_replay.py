"""The pure functions of the benchmark that replays samplers on tables."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlane.searching.samplers import Sampler, Seen
from fairlane.searching.space import Space

_FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def functions() -> Any:
    return _module("_replay")


@pytest.fixture(scope="module")
def shares() -> Any:
    return _module("_shares")


def _module(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, _FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _Counting(Sampler):
    """Proposes 0, 1, 2, and keeps how many had begun and ended at each proposal."""

    name, learns = "counting", True

    def __init__(self) -> None:
        self.known: list[tuple[int, int]] = []

    def propose(self, space: Space, number: int, seen: Sequence[Seen]) -> dict[str, Any]:
        self.known.append((len(seen), sum(one.state == "done" for one in seen)))
        return {"a": number}


def _value(variant: Mapping[str, Any]) -> float:
    return abs(float(variant["a"]) - 5)


@pytest.mark.parametrize(
    ("way", "ended"),
    [("one", [0, 1, 2, 3, 4, 5, 6, 7, 8]), ("waves-4", [0, 0, 0, 0, 4, 4, 4, 4, 8])],
)
def test_a_wave_sees_what_ended_before_it(functions: Any, way: str, ended: list[int]) -> None:
    sampler = _Counting()
    rng = np.random.default_rng(0)
    best = functions.replay(Space({"a": list(range(20))}), sampler, _value, 9, way, rng)
    assert best == [5, 4, 3, 2, 1, 0, 0, 0, 0]
    assert sampler.known == list(enumerate(ended))


def test_lanes_are_refilled_one_by_one(functions: Any) -> None:
    sampler = _Counting()
    rng = np.random.default_rng(0)
    functions.replay(Space({"a": list(range(200))}), sampler, _value, 40, "lanes-8", rng)
    running = [begun - ended for begun, ended in sampler.known]
    assert running[0] == 0
    assert max(running) == 7
    assert running[-20:] == [7] * 20


def test_regret_and_share(shares: Any) -> None:
    assert shares.regret(3.0, [1.0, 5.0, 9.0]) == 0.5
    assert shares.share(0.5, 0.1, 0.3) == pytest.approx(0.5)


def test_a_table_counts_if_the_interval_of_the_gain_is_above_zero(shares: Any) -> None:
    regrets = {
        "hard": {"random one": [0.5, 0.5, 0.9], "tpe one": [0.1, 0.1, 0.1], "tpe waves-64": [0.2, 0.2, 0.6]},
        "easy": {"random one": [0.0, 0.0, 0.0], "tpe one": [0.0, 0.0, 0.0], "tpe waves-64": [0.0, 0.0, 0.0]},
        "noisy": {"random one": [0.1, 0.2, 0.9], "tpe one": [0.3, 0.1, 0.2], "tpe waves-64": [0.1, 0.2, 0.3]},
    }
    runs, gains = shares.summary(regrets, "random one", "tpe one")
    assert {table: row["counts"] for table, row in gains.items()} == {
        "hard": True,
        "easy": False,
        "noisy": False,
    }
    # Of three repeats drawn with replacement, the median is one of the two smaller ones, or the largest.
    assert gains["hard"]["interval"] == [pytest.approx(0.4), pytest.approx(0.8)]
    row = runs["tpe waves-64"]
    assert row["shares"] == {"hard": pytest.approx(0.75)}
    assert row["share"] == pytest.approx(0.75)
    assert row["share_interval"] == (pytest.approx(0.375), pytest.approx(0.75))
    assert row["share_of_means"] == pytest.approx((1.9 - 1.0) / (1.9 - 0.3))
    assert runs["tpe one"]["share_interval"] == (pytest.approx(1), pytest.approx(1))
