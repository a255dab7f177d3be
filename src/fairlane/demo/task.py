"""What the demo trains on: images and their classes, and the network for them.

In: a file of images, or scikit-learn's digits. Out: a `Task`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairlane.errors import StudyError

if TYPE_CHECKING:
    import keras

VALIDATION_SPLIT = 0.2

_MNIST_PIXELS = 28 * 28
_FEWEST_IMAGES = 10


@dataclass(frozen=True, eq=False)
class Task:
    """Data, and the network that learns them.

    Attributes:
        name: the name of the data, for messages.
        description: the network in words, for messages.
        x: images, shape ``(images, pixels)``, float32.
        y: their classes, shape ``(images,)``.
        hidden: units and dropout rate of each hidden layer.
        batch_size: for ``fit``.
    """

    name: str
    description: str
    x: NDArray[np.float32]
    y: NDArray[np.int64]
    hidden: tuple[tuple[int, float], ...]
    batch_size: int

    def network(self) -> keras.Model:
        """A fresh network, not compiled."""
        import keras

        layers = [keras.Input((self.x.shape[1],))]
        for units, rate in self.hidden:
            layers += [keras.layers.Dense(units, "relu"), keras.layers.Dropout(rate)]
        classes = int(self.y.max()) + 1
        return keras.Sequential([*layers, keras.layers.Dense(classes, "softmax")])

    def compiled(self, model: keras.Model, learning_rate: float) -> keras.Model:
        """Compile a model, and return it.

        Args:
            model: the network.
            learning_rate: of its optimizer.
        """
        import keras

        model.compile(
            optimizer=keras.optimizers.RMSprop(learning_rate),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        return model

    def fit_arguments(self, epochs: int) -> dict[str, Any]:
        """The arguments of ``fit``, without the data.

        Args:
            epochs: how long to train.
        """
        return {
            "epochs": epochs,
            "batch_size": self.batch_size,
            "validation_split": VALIDATION_SPLIT,
        }


def digits() -> Task:
    """scikit-learn's 1,797 digits of 8 × 8 pixels."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return _task("scikit-learn's digits", (x / 16).astype("float32"), y)


def load(path: Path) -> Task:
    """A task from a file.

    Args:
        path: a ``.npz`` file with ``x_train``, shape ``(images, ...)``, and ``y_train``, the
            classes as integers from 0. Bytes are pixels from 0 to 255, and scaled to 0 ... 1.

    Raises:
        StudyError: there is no such file, or it has other contents.
    """
    arrays = _arrays(path, ("x_train", "y_train"))
    x, y = arrays["x_train"], arrays["y_train"]
    if x.ndim < 2 or not (np.issubdtype(x.dtype, np.number) or x.dtype == bool):
        raise StudyError(
            f"x_train in {path} must hold numbers, of shape (images, ...); "
            f"it has {x.dtype} of shape {x.shape}"
        )
    if y.shape != (len(x),) or not np.issubdtype(y.dtype, np.integer):
        raise StudyError(
            f"y_train in {path} must hold one integer per image, {len(x)} in all; "
            f"it has {y.dtype} of shape {y.shape}"
        )
    if len(x) < _FEWEST_IMAGES:
        raise StudyError(f"{path} has only {len(x)} images; {_FEWEST_IMAGES} are needed")
    if y.min() < 0:
        raise StudyError(f"y_train in {path} must hold classes from 0 on; it has {y.min()}")
    scale = 255 if x.dtype == np.uint8 else 1
    return _task(path.name, (x.reshape(len(x), -1) / scale).astype("float32"), y)


def _arrays(path: Path, names: Sequence[str]) -> Mapping[str, NDArray[Any]]:
    if not path.is_file():
        raise StudyError(f"there is no file {path}")
    try:
        with path.open("rb") as file:
            loaded = np.load(file)
            there = getattr(loaded, "files", None)
            if there is not None and set(names) <= set(there):
                return {name: loaded[name] for name in names}
    except Exception as error:
        raise StudyError(f"{path} can't be read as a .npz file: {error}") from error
    if there is None:
        raise StudyError(f"{path} holds a single array; give a .npz file with {' and '.join(names)}")
    missing = " and ".join(name for name in names if name not in there)
    raise StudyError(f"{path} has no array {missing}; it has {', '.join(there) or 'no arrays'}")


def _task(name: str, x: NDArray[np.float32], y: NDArray[np.int64]) -> Task:
    if x.shape[1] == _MNIST_PIXELS:
        hidden, batch_size = ((256, 0.4), (128, 0.3)), 128
    else:
        hidden, batch_size = ((64, 0.3), (64, 0.3)), 32
    sizes = "-".join(str(n) for n in (x.shape[1], *(units for units, _ in hidden), y.max() + 1))
    return Task(name, f"A dense network, {sizes},", x, y, hidden, batch_size)
