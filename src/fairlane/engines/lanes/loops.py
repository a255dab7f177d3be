"""How an epoch is run: the loops of the lanes engine, and the choice between them.

In: a model and the device. Out: a `Loop`. Lanes vmapped inside a scan over the batches are the fastest
for most models. On a CPU, a model with recurrence gets fewer of them, and with convolutions each lane runs by
itself. XLA's CPU convolutions are several times slower inside a loop than outside: where `program.rewrite`
leaves one in a program, an epoch is run with one dispatch per batch and lane.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import keras

from fairlane.models import keras_private

WIDEST_ON_CPU = 8
"""Lanes per dispatch on a CPU: wider is hardly faster (`benchmarks/NOTES.md`), and early stops leave gaps."""

WIDEST_RECURRENT_ON_CPU = 4
"""The same for models with a loop over time: each of eight lanes takes a fifth to a half longer."""

WIDEST_ON_ACCELERATOR = 512


@dataclass(eq=False)
class Loop:
    """A way to run an epoch.

    Attributes:
        width: the most lanes per dispatch.
        stepwise: whether each batch is a dispatch of its own, rather than a whole epoch.
        batches: how many batches the last epoch of a chunk had.
    """

    width: int
    stepwise: bool
    batches: int = 0

    def name(self, width: int) -> str:
        """``scan×8`` or ``step×1``: what is dispatched at once, and how many lanes wide."""
        return f"{'step' if self.stepwise else 'scan'}×{width}"


def widest() -> int:
    """The most lanes per dispatch on the default device."""
    return WIDEST_ON_CPU if jax.default_backend() == "cpu" else WIDEST_ON_ACCELERATOR


def choose(model: keras.Model) -> Loop:
    """The loop to begin with, for a model on the default device.

    Args:
        model: built.
    """
    if jax.default_backend() == "cpu":
        if has_convolution(model):
            return Loop(1, stepwise=False)
        if has_recurrence(model):
            return Loop(WIDEST_RECURRENT_ON_CPU, stepwise=False)
    return Loop(widest(), stepwise=False)


def has_convolution(model: keras.Model) -> bool:
    """Whether a layer of the model, or of a model in it, is a convolution."""
    return any("Conv" in name for name in _class_names(model))


def has_recurrence(model: keras.Model) -> bool:
    """Whether a layer of the model, or of a model in it, loops over time."""
    return "RNN" in _class_names(model)


def _class_names(model: keras.Model) -> set[str]:
    layers = keras_private.all_layers(model)
    return {cls.__name__ for layer in layers for cls in type(layer).__mro__}
