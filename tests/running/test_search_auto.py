"""What ``sampler="auto"`` takes, and what it says."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import pytest

import fairlane as fl
from fairlane.errors import FairlaneWarning
from fairlane.running.wanted import wanted_of

_PLAIN: dict[str, Any] = {"a": [1, 2]}
_WITH_CONDITIONS = {**_PLAIN, "b": fl.When({"a": 1}, [3, 4])}


def _chosen(trials: int, stop: Any = None, objective: Any = "loss", space: Any = _PLAIN) -> str:
    fit = {"epochs": 3}
    wanted = wanted_of(space, trials, objective, 1, False, "auto", stop, None, None, 0, fit)
    return wanted._chosen()


def _installed(monkeypatch: pytest.MonkeyPatch, yes: bool) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if yes else None)


@pytest.mark.parametrize(
    ("trials", "stop", "objective", "sampler"),
    [
        (63, None, "loss", "random"),
        (64, None, "loss", "tpe"),
        (64, "median", "loss", "tpe"),
        (64, "hyperband", "loss", "random"),
        (64, None, ["loss", "parameters"], "random"),
    ],
)
def test_auto_takes_tpe_where_it_learns(
    monkeypatch: pytest.MonkeyPatch, trials: int, stop: Any, objective: Any, sampler: str
) -> None:
    _installed(monkeypatch, True)
    assert _chosen(trials, stop, objective) == sampler


def test_auto_takes_tpe_without_optuna_where_no_condition_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, False)
    assert _chosen(64) == "tpe"
    words = "takes 'random', because the space has conditions, for which TPE needs Optuna, and that is not installed"
    with pytest.warns(FairlaneWarning, match=f"{words}; for 64"):
        assert _chosen(64, space=_WITH_CONDITIONS) == "random"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _chosen(63, space=_WITH_CONDITIONS) == "random"  # it would draw with Optuna too
