"""The conformance suite's twin: models of three sizes as lanes of one program, each as Keras alone trains it.

One body for the cases of ``cases.py`` whose models have a size (units, filters, heads, a vocabulary), against
three lines of Keras: the logs of all epochs, and all variables at the end. What can't share a program is in
`APART`, with the reason that `study.trials` has for it. Of losses, metrics and schedules, which see no array
of a model's own size, some stand for all.
"""

import inspect
import os
from collections.abc import Iterator
from typing import Any

import keras
import pytest

import fairlane as fl
import fairlane.engines.lanes.engine
from _alone import assert_logs_agree, assert_variables_agree, history_of, keras_alone, variables
from conformance.cases import CASES, Case

MORE = (0, 1, 3)
"""How much is added to each size of a case: three models."""

FIT = {"epochs": 2, "batch_size": 15}

VALIDATED = ("metrics", "noise", "normalisation", "several outputs")
"""Families whose validation is not what training is, without the gradients."""

GROUPS = "convolution by groups"

APART = {
    "Conv2D, strided, grouped": GROUPS,
    "DepthwiseConv1D": GROUPS,
    "DepthwiseConv2D": GROUPS,
    "transformer": "arrays of constants",  # an embedding of places that is calculated when it is built
}
"""What can't share a program, and why."""

STANDING_FOR_ALL = {
    "losses": ("mean squared error", "circle"),
    "metrics": ("metrics: confusion", "weighted metrics, sample weights", "class weights"),
    "optimizers": ("schedule: cosine decay with warm-up",),
}

# Keras asks JAX for 64 bits, in metrics and where a case does, and JAX says each time that it has 32.
pytestmark = pytest.mark.filterwarnings("ignore:Explicitly requested dtype")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the three trials are lanes of one chunk."""
    monkeypatch.setattr(fairlane.engines.lanes.engine, "default_threads", lambda: 1)


@pytest.fixture(autouse=True)
def policy() -> Iterator[None]:
    """Some builders set the policy for all models that come after, Keras's alone in this process too."""
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


def is_sized(case: Case) -> bool:
    """Whether a case has a size, and no other stands for it."""
    if case.engine != "lanes" or "more" not in inspect.signature(case.build).parameters:
        return False
    sees_no_size = case.family in ("losses", "metrics") or case.name.startswith("schedule")
    return not sees_no_size or case.name in STANDING_FOR_ALL[case.family]


def marked() -> list[Any]:
    """One in ten of the cases; with ``FAIRLANE_CONFORMANCE`` in the environment, all.

    What an operation or an optimizer does on padded arrays is tested step by step (``test_sizes``,
    ``test_sized_operations``); these are whole studies, and take seconds each.
    """
    sized = [case for case in CASES if is_sized(case)]
    if "FAIRLANE_CONFORMANCE" not in os.environ:
        sized = [case for i, case in enumerate(sized) if i % 10 == 0 or case.name in APART]
    slow = [() if i % 3 == 0 else pytest.mark.slow for i in range(len(sized))]
    return [pytest.param(c, id=f"{c.family}: {c.name}", marks=m) for c, m in zip(sized, slow, strict=True)]


@pytest.mark.parametrize("case", marked())
def test_lanes_of_three_sizes_equal_keras(case: Case) -> None:
    fit = {**FIT, "validation_split": 0.25 if case.family in VALIDATED else 0.0, **case.fit}
    rates = (*case.rates, case.rates[0])
    variants = [{"rate": rate, "more": more} for rate, more in zip(rates, MORE, strict=True)]
    study = fl.compare(case.build, variants, case.x, case.y, engine="lanes", verbose=0, **fit)
    trials = study.trials
    assert trials["error"].tolist() == [""] * 3, study._record(0).traceback
    if case.name in APART:
        assert trials["fleet"].nunique() == 3
        assert trials["reason"].str.contains(APART[case.name]).all(), trials["reason"].tolist()
    else:
        assert trials["fleet"].nunique() == 1, trials["reason"].tolist()
        assert trials["loop"].str.endswith(", 3 sizes").all(), trials["loop"].tolist()
    for trial, variant in enumerate(variants):
        alone = keras_alone(case.build, variant, 0, case.x, case.y, **fit)
        assert_logs_agree(history_of(study, trial), alone.logs, rtol=max(2e-5, case.rtol), what=str(variant))
        ours = variables(study.model(trial))
        assert_variables_agree(
            ours, alone.variables, max(1e-4, case.rtol), max(2e-5, case.atol), str(variant)
        )


def test_what_is_said_to_be_apart_is_a_case() -> None:
    assert set(APART) <= {case.name for case in CASES if is_sized(case)}
