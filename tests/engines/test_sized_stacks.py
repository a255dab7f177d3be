"""Any stack of layers at any widths: each lane is what the reference engine gives for its model alone."""

from __future__ import annotations

import numpy as np
import pytest
from _stacks import Stack, stacks
from hypothesis import HealthCheck, example, given, settings

import fairlane as fl

FIT = {"epochs": 2, "batch_size": 8, "verbose": 0}


@pytest.mark.slow
@settings(max_examples=1, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@example(Stack("image", [7, 14, 13], [2, 1, 0], [[3, 5], [4, 2], [2, 2]], "Adam"))
@example(Stack("words", [13, 10, 3], [1, 5, 0], [[4, 2, 7], [3, 5, 3], [2, 4, 9]], "Adafactor"))
@given(stacks(layers=3, lanes=3))
def test_any_stack_of_layers_equals_the_reference_engine(stack: Stack) -> None:
    x, y = stack.data()
    variants = {"lane": list(range(stack.lanes))}
    ours, alone = (
        fl.compare(stack.build, variants, x, y, engine=engine, **FIT) for engine in ("lanes", "reference")
    )
    assert ours.trials["error"].tolist() == alone.trials["error"].tolist()
    logs = ["loss", "accuracy"]
    np.testing.assert_allclose(ours.history[logs], alone.history[logs], rtol=1e-3, atol=1e-5)
    for trial in range(stack.lanes):
        pairs = zip(ours.model(trial).get_weights(), alone.model(trial).get_weights(), strict=True)
        for mine, theirs in pairs:
            np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=2e-4)
