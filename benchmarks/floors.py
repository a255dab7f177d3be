"""The floor under each model-epoch: the arithmetic and the bytes that no engine can do without.

Counted from the layers of the built models, for one model and one epoch:

- FLOPs of training: three times the forward pass (one forward, and backward one for the weights and
  one for the inputs), less the gradient for the data, which nobody needs. Only matrix products and
  convolutions count; a validation pass adds its forward FLOPs.
- Bytes: per step, each float32 weight is read forward and backward, its gradient is written and
  read, and weight and optimizer slots are read and written; per sample, the data are read once, and
  each layer's output is written once and read twice. That is traffic of the step's tensors, not of
  any cache; what stays in cache costs less. A layer's insides (gates, scores) do not count.

Milliseconds are FLOPs over the machine's float32 rate in a NumPy matrix product, measured here.
``--write`` puts the table into NOTES.md, between its markers.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

NOTES = Path(__file__).with_name("NOTES.md")
BEGIN, END = "<!-- floors: begin -->", "<!-- floors: end -->"
SLOTS = {"RMSprop": 1, "Adam": 2}


@dataclass(frozen=True)
class Work:
    """A model with the sizes of its epoch: samples trained on, samples validated on, batch."""

    name: str
    builder: str
    samples: int
    validation: int
    batch: int


WORKS = (
    Work("digits MLP", "digits_mlp", 1437, 360, 32),
    Work("MNIST MLP", "mnist_mlp", 48_000, 12_000, 128),
    Work("CNN", "cnn", 6_400, 0, 64),
    Work("LSTM", "lstm", 6_400, 0, 64),
    Work("attention", "attention", 6_400, 0, 64),
)


def forward_flops(layer: Any) -> float:
    """FLOPs per sample of a layer's matrix products, two per multiply-add."""
    kind = type(layer).__name__
    if kind in ("Dense", "Conv2D"):
        return float(2 * math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1]))
    if kind == "LSTM":
        weights = math.prod(layer.cell.kernel.shape) + math.prod(layer.cell.recurrent_kernel.shape)
        return float(2 * weights * layer.input.shape[1])
    if kind == "MultiHeadAttention":
        return _attention_flops(layer)
    return 0.0


def _attention_flops(layer: Any) -> float:
    """Four projections of every position, and two products of positions × positions × width."""
    positions = layer.output.shape[1]
    projections = sum(math.prod(v.shape) for v in layer.trainable_variables if "kernel" in v.path)
    width = layer.num_heads * layer.key_dim
    return float(2 * positions * projections + 2 * 2 * positions**2 * width)


def data_gradient_flops(layer: Any) -> float:
    """FLOPs per sample of a first layer's gradient for its input, which training leaves out."""
    if type(layer).__name__ == "LSTM":
        return float(2 * math.prod(layer.cell.kernel.shape) * layer.input.shape[1])
    return forward_flops(layer)


def epoch_flops(model: Any, work: Work) -> float:
    """FLOPs of one epoch of training and validation."""
    layers = [layer for layer in model.layers if forward_flops(layer)]
    forward = sum(forward_flops(layer) for layer in layers)
    training = 3 * forward - data_gradient_flops(layers[0])
    return training * work.samples + forward * work.validation


def epoch_bytes(model: Any, work: Work) -> float:
    """Bytes of one epoch's tensors, after the rule in this module's docstring."""
    slots = SLOTS[type(model.optimizer).__name__]
    weights = sum(math.prod(v.shape) for v in model.trainable_variables)
    per_step = weights * (2 + 2 + 2 * (1 + slots))
    outputs = sum(math.prod(layer.output.shape[1:]) for layer in _computing(model))
    inputs = math.prod(model.input_shape[1:])
    training = math.ceil(work.samples / work.batch) * per_step
    training += work.samples * (inputs + 3 * outputs)
    validation = math.ceil(work.validation / work.batch) * weights
    validation += work.validation * (inputs + 2 * outputs)
    return float(4 * (training + validation))


def _computing(model: Any) -> Iterator[Any]:
    return (layer for layer in model.layers if type(layer).__name__ != "InputLayer")


def machine_rate(size: int = 2048, seconds: float = 2.0) -> float:
    """The best float32 FLOP/s of a NumPy matrix product within some seconds."""
    generator = np.random.Generator(np.random.PCG64(0))
    a = generator.standard_normal((size, size), dtype=np.float32)
    best, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / best


def table(rate: float) -> str:
    """The floors as a Markdown table."""
    import _models

    lines = [
        "| model | weights | samples + validation | steps | MFLOP | MB | FLOP per byte "
        "| floor by FLOPs, ms |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for work in WORKS:
        model = getattr(_models, work.builder)()
        flops, size = epoch_flops(model, work), epoch_bytes(model, work)
        steps = math.ceil(work.samples / work.batch)
        weights = sum(math.prod(v.shape) for v in model.trainable_variables)
        lines.append(
            f"| {work.name} | {weights:,} | {work.samples:,} + {work.validation:,} | {steps} "
            f"| {flops / 1e6:,.0f} | {size / 1e6:,.0f} | {flops / size:.1f} "
            f"| {1e3 * flops / rate:,.2f} |"
        )
    lines += ["", f"Rate of the machine: {rate / 1e9:.0f} GFLOP/s (NumPy, float32, 2048 × 2048)."]
    return "\n".join(lines)


def main() -> None:
    """Print the table, and write it into NOTES.md if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="into NOTES.md")
    parser.add_argument("--gflops", type=float, help="take this rate instead of measuring one")
    options = parser.parse_args()
    os.environ.setdefault("KERAS_BACKEND", "jax")
    text = table(options.gflops * 1e9 if options.gflops else machine_rate())
    print(text)
    if options.write:
        before, _, rest = NOTES.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        NOTES.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    main()
