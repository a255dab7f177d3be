"""The benchmark's searches on known curves are those that `fairlane.search` makes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

import fairlane as fl
from fairlane.running.wanted import wanted_of

_FILE = Path(__file__).parents[2] / "benchmarks" / "_courses.py"


@pytest.fixture(scope="module")
def courses() -> Any:
    spec = importlib.util.spec_from_file_location("_courses", _FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["_courses"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _curve(variant: Any) -> list[float]:
    return [float(variant["a"]) + 1 / (epoch + 1) for epoch in range(27)]


def _wanted(trials: int, sampler: str, stop: Any) -> Any:
    space = {"a": fl.Float(0, 1)}
    return wanted_of(space, trials, "val_loss", [0], True, sampler, stop, None, None, 0, {"epochs": 27})


@pytest.mark.parametrize(
    ("stop", "trials", "epochs"),
    [
        (None, 5, 5 * 27),
        ("hyperband", 49, 375),  # KerasTuner's table for 27 epochs and factor 3
        ("halving", 27, 27 + 9 * 2 + 3 * 6 + 18),
    ],
)
def test_epochs_of_a_search(courses: Any, stop: Any, trials: int, epochs: int) -> None:
    made = courses.walk(_wanted(trials, "random", stop), _curve)
    assert len(made.variants) == trials
    assert sum(made.trained) == epochs
    # A curve that is lower at the start is lower at the end here, so no rule ends the best variant of a bracket.
    best = made.ranking(27)[0]
    if stop != "hyperband":
        assert made.variants[best]["a"] == min(one["a"] for one in made.variants)
    assert made.trained[best] == 27
