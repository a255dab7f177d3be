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

_FILE = Path(__file__).parents[2] / "benchmarks" / "_replay.py"


@pytest.fixture(scope="module")
def functions() -> Any:
    spec = importlib.util.spec_from_file_location("_replay", _FILE)
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


def test_regret_and_share(functions: Any) -> None:
    assert functions.regret(3.0, [1.0, 5.0, 9.0]) == 0.5
    assert functions.share(0.5, 0.1, 0.3) == pytest.approx(0.5)
    assert functions.share(0.5, 0.5, 0.3) is None


def test_summary_leaves_out_tables_without_a_gain(functions: Any) -> None:
    regrets = {
        "hard": {"random one": [0.4, 0.5, 0.9], "tpe one": [0.1, 0.1, 0.1], "tpe waves-64": [0.2, 0.2, 0.6]},
        "easy": {"random one": [0.0, 0.0, 0.0], "tpe one": [0.0, 0.0, 0.0], "tpe waves-64": [0.0, 0.0, 0.0]},
    }
    row = functions.summary(regrets, "random one", "tpe one")["tpe waves-64"]
    assert row["shares"] == {"hard": pytest.approx(0.75), "easy": None}
    assert row["share"] == pytest.approx(0.75)
    assert row["share_of_means"] == pytest.approx((0.6 - 1 / 3) / 0.5)
