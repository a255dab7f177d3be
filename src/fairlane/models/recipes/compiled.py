"""What a model is compiled with, and what it remembers of that and no config says.

In: a compiled model, or an optimizer. Out: arguments of ``compile``; what is excluded from weight decay,
as plain data; and an optimizer that excludes the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras

from fairlane.models import keras_private

OBJECTS = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics")
"""The arguments of ``compile`` that are objects, or trees of them."""

Exclusions = tuple[list[int], list[str]]
"""What is excluded from weight decay: numbers of variables, and patterns of names."""


def has_own_compile(model: Any) -> bool:
    """Whether a class has a ``compile`` of its own, whose arguments only the class knows."""
    return type(model).compile is not keras.Model.compile


def plain_arguments(model: Any) -> dict[str, Any]:
    """The arguments of ``compile`` that are plain values and the same on each backend."""
    return {
        "run_eagerly": model.run_eagerly,
        "steps_per_execution": model.steps_per_execution,
        # Keras wraps the optimizer to scale the loss, and does not store the argument.
        "auto_scale_loss": isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer),
    }


def read_exclusions(optimizer: Any, variables: Sequence[Any]) -> list[Exclusions]:
    """What an optimizer, and each that it wraps, excludes from weight decay.

    Args:
        optimizer: any optimizer, or None.
        variables: those of its model; the numbers are places among them.
    """
    return [keras_private.excluded_from_weight_decay(one, list(variables)) for one in _wrapped(optimizer)]


def write_exclusions(optimizer: Any, exclusions: Sequence[Exclusions], variables: Sequence[Any]) -> None:
    """Let an optimizer, and each that it wraps, exclude the same.

    Args:
        optimizer: one like the optimizer that they were read from.
        exclusions: as `read_exclusions` gave them.
        variables: those of its model, in the same order.
    """
    for one, (numbers, names) in zip(_wrapped(optimizer), exclusions, strict=True):
        if numbers or names:
            one.exclude_from_weight_decay([variables[number] for number in numbers], names)


def _wrapped(optimizer: Any) -> Iterator[Any]:
    """The optimizer, and those that it wraps."""
    while optimizer is not None:
        yield optimizer
        optimizer = getattr(optimizer, "inner_optimizer", None)
