"""Which loop a model gets on a CPU: by what its layers do."""

from __future__ import annotations

from collections.abc import Callable

import keras
import pytest
from keras import layers

from fairlane.engines.lanes import loops

SERIES = (6, 3)

MODELS = {
    "dense": (lambda: [keras.Input((4,)), layers.Dense(2)], loops.WIDEST_ON_CPU),
    "series": (lambda: [keras.Input(SERIES), layers.Dense(2), layers.Flatten()], loops.WIDEST_ON_CPU),
    "LSTM": (lambda: [keras.Input(SERIES), layers.LSTM(2)], loops.WIDEST_RECURRENT_ON_CPU),
    "in a wrapper": (
        lambda: [keras.Input(SERIES), layers.Bidirectional(layers.GRU(2))],
        loops.WIDEST_RECURRENT_ON_CPU,
    ),
    "in a model": (
        lambda: [keras.Sequential([keras.Input(SERIES), layers.SimpleRNN(2)]), layers.Dense(1)],
        loops.WIDEST_RECURRENT_ON_CPU,
    ),
    "a cell": (
        lambda: [keras.Input(SERIES), layers.RNN(layers.LSTMCell(2))],
        loops.WIDEST_RECURRENT_ON_CPU,
    ),
    "convolution": (lambda: [keras.Input(SERIES), layers.Conv1D(2, 2)], 1),
    "both": (lambda: [keras.Input(SERIES), layers.Conv1D(2, 2), layers.LSTM(2)], 1),
}


@pytest.mark.parametrize(("parts", "width"), MODELS.values(), ids=MODELS.keys())
def test_width_on_a_cpu(parts: Callable[[], list[keras.Layer]], width: int) -> None:
    loop = loops.choose(keras.Sequential(parts()))
    assert (loop.width, loop.stepwise) == (width, False)


def test_width_on_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops.jax, "default_backend", lambda: "gpu")
    assert loops.choose(keras.Sequential(MODELS["both"][0]())).width == loops.WIDEST_ON_ACCELERATOR
