"""The data of the benchmarks, as NumPy arrays: digits, MNIST from a file, or a synthetic stand-in.

In: an optional path. Out: ``(x, y)``, float32 images in 0 ... 1 and integer labels. Never imports
Keras.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

Arrays = tuple[np.ndarray, np.ndarray]

SYNTHETIC_SEED = 20240229


def digits() -> Arrays:
    """scikit-learn's digits: 1797 × 64, pixels 0 ... 16 scaled to 0 ... 1."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return (bunch.data / 16.0).astype("float32"), bunch.target.astype("int32")


def images(path: str | None, samples: int = 60_000) -> Arrays:
    """The first ``samples`` 28×28 images of the ``.npz`` at ``path``, or of a synthetic set."""
    return _from_file(Path(path), samples) if path else _synthetic(samples)


def kind(path: str | None) -> str:
    """What to say of the data in tables and files; the path itself stays out of them."""
    return "the file given by --data" if path else "synthetic (no --data given)"


def _from_file(path: Path, samples: int) -> Arrays:
    with np.load(path) as file:
        x, y = file["x_train"][:samples], file["y_train"][:samples]
    return x.astype("float32") / 255.0, y.astype("int32")


def _synthetic(samples: int) -> Arrays:
    """Ten blurred random prototypes plus noise, clipped to 0 ... 1; the same on every call."""
    generator = np.random.Generator(np.random.PCG64(SYNTHETIC_SEED))
    coarse = generator.random((10, 7, 7), dtype=np.float32)
    prototypes = np.kron(coarse, np.ones((1, 4, 4), dtype=np.float32))
    y = generator.integers(0, 10, samples, dtype=np.int32)
    x = generator.standard_normal((samples, 28, 28), dtype=np.float32)
    x *= 0.5
    x += prototypes[y]
    return np.clip(x, 0.0, 1.0, out=x), y
