"""Random stacks of layers with random widths, for tests of models of different sizes.

In: a draw of Hypothesis's. Out: a `Stack`, which builds the model of each lane, and data for all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from hypothesis import strategies as st
from keras import layers as la

SHAPES = {"vector": (6,), "sequence": (5, 4), "image": (6, 6, 2), "words": (5,)}
WORDS = 12

_ACTIVATIONS = ("relu", "tanh", "gelu", "softmax", "selu", "softplus", None)
_REGULARIZERS = (None, None, None, "l2", keras.regularizers.OrthogonalRegularizer(0.01))
_CONSTRAINTS = (None, None, None, "max_norm", "unit_norm", "non_neg")

# A width, a choice from 0 to 5, and what comes in → what goes out.
Make = Callable[[int, int, Any], Any]


def _dense(n: int, c: int, x: Any) -> Any:
    regularizer, constraint = _REGULARIZERS[c % 5], _CONSTRAINTS[c]
    activation = _ACTIVATIONS[c]
    return la.Dense(n, activation, kernel_regularizer=regularizer, kernel_constraint=constraint)(x)


def _residual(n: int, c: int, x: Any) -> Any:
    return la.Add()([x, la.Dense(x.shape[-1], _ACTIVATIONS[c])(la.Dense(n)(x))])


def _gate(n: int, c: int, x: Any) -> Any:
    return la.Multiply()([x, la.Dense(x.shape[-1], "sigmoid")(x)])


def _join(n: int, c: int, x: Any) -> Any:
    parts = [x, la.Dense(n, _ACTIVATIONS[c])(x)]
    return la.Concatenate()(parts[:: 1 if c % 2 else -1])


def _each(*kinds: Callable[[], Any]) -> Make:
    """One of several layers without a width."""
    return lambda n, c, x: kinds[c % len(kinds)]()(x)


_EVERYWHERE: dict[str, Make] = {
    "dense": _dense,
    "residual": _residual,
    "gate": _gate,
    "join": _join,
    "norm": _each(
        la.LayerNormalization, la.BatchNormalization, la.RMSNormalization, la.UnitNormalization,
        lambda: la.GroupNormalization(1), lambda: la.GroupNormalization(-1),
    ),
    "noise": _each(
        lambda: la.Dropout(0.3), lambda: la.GaussianNoise(0.2), lambda: la.GaussianDropout(0.2),
        lambda: la.AlphaDropout(0.2),
    ),
    "activation": _each(la.PReLU, la.Softmax, la.LeakyReLU, lambda: la.ActivityRegularization(0.01)),
}  # fmt: skip

_OF: dict[int, dict[str, Make]] = {
    1: {
        **_EVERYWHERE,
        "repeated": lambda n, c, x: la.RepeatVector(3)(x),
        "reshaped": lambda n, c, x: la.Reshape((2 + c, n))(la.Dense((2 + c) * n)(x)),
        "as channels": lambda n, c, x: la.Reshape((x.shape[-1], 1))(x) if c == 9 else la.Reshape((1, -1))(x),
    },
    2: {
        **_EVERYWHERE,
        "convolution": lambda n, c, x: la.Conv1D(n, 1 + c % 3, padding=("same", "causal")[c % 2])(x),
        "separable": lambda n, c, x: la.SeparableConv1D(n, 2, padding="same", depth_multiplier=1 + c % 2)(x),
        "pooling": _each(
            lambda: la.MaxPooling1D(2, padding="same"), lambda: la.AveragePooling1D(2, 1, "same"),
            lambda: la.SpatialDropout1D(0.3), lambda: la.ZeroPadding1D(1), lambda: la.UpSampling1D(2),
        ),
        "lstm": lambda n, c, x: la.LSTM(n, return_sequences=c > 2, go_backwards=c == 1)(x),
        "gru": lambda n, c, x: la.GRU(n, return_sequences=c > 2, dropout=0.2 * (c % 2))(x),
        "both ways": lambda n, c, x: la.Bidirectional(la.SimpleRNN(n, return_sequences=c > 2))(x),
        "attention": lambda n, c, x: la.MultiHeadAttention(
            2 + n % 3, n, dropout=0.1 * (c % 2), use_bias=c > 2
        )(x, x, use_causal_mask=c % 2 == 0),
        "steps": lambda n, c, x: la.TimeDistributed(la.Dense(n, "tanh"))(x),
        "end": _each(la.Flatten, la.GlobalMaxPooling1D, la.GlobalAveragePooling1D),
        "turned": lambda n, c, x: la.Permute((2, 1))(la.Dense(n)(la.Permute((2, 1))(x))),
    },
    3: {
        **_EVERYWHERE,
        "convolution": lambda n, c, x: la.Conv2D(n, 1 + c % 3, 1 + c % 2, ("same", "valid")[c == 0])(x),
        "depthwise": lambda n, c, x: la.DepthwiseConv2D(2, padding="same", depth_multiplier=1 + c % 2)(x),
        "separable": lambda n, c, x: la.SeparableConv2D(n, 2, padding="same")(x),
        "transposed": lambda n, c, x: la.Conv2DTranspose(n, 2, padding="same")(x),
        "pooling": _each(
            lambda: la.MaxPooling2D(2, 1, "same"), lambda: la.AveragePooling2D(2, padding="same"),
            lambda: la.SpatialDropout2D(0.3), lambda: la.ZeroPadding2D(1), lambda: la.UpSampling2D(2),
        ),
        "end": _each(la.Flatten, la.GlobalMaxPooling2D, la.GlobalAveragePooling2D),
    },
}  # fmt: skip

OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "SGD": lambda: keras.optimizers.SGD(0.05, momentum=0.9, clipnorm=1.0),
    "SGD, decay": lambda: keras.optimizers.SGD(0.05, weight_decay=0.01, global_clipnorm=1.0),
    "Adam": lambda: keras.optimizers.Adam(0.01, epsilon=0.01),
    "Adagrad": lambda: keras.optimizers.Adagrad(0.01, epsilon=0.01),
    "Lamb": lambda: keras.optimizers.Lamb(0.01, epsilon=0.01),
    "RMSprop, centred": lambda: keras.optimizers.RMSprop(0.01, centered=True, epsilon=0.01),
    "Adafactor": lambda: keras.optimizers.Adafactor(0.01),
    "EMA": lambda: keras.optimizers.SGD(0.05, use_ema=True, ema_overwrite_frequency=2),
}


@dataclass(frozen=True)
class Stack:
    """Layers, the same for all lanes, with widths of each lane's own.

    Attributes:
        inputs: a key of `SHAPES`.
        kinds: numbers that choose the layers.
        choices: a number for each layer, for its other arguments.
        widths: of each layer, for each lane.
        optimizer: a key of `OPTIMIZERS`.
    """

    inputs: str
    kinds: Sequence[int]
    choices: Sequence[int]
    widths: Sequence[Sequence[int]]
    optimizer: str

    @property
    def lanes(self) -> int:
        """How many there are."""
        return len(self.widths[0])

    def build(self, lane: int = 0) -> keras.Model:
        """A lane's model, compiled."""
        i = keras.Input(SHAPES[self.inputs], dtype="int32" if self.inputs == "words" else "float32")
        x = la.Embedding(WORDS, self.widths[0][lane])(i) if self.inputs == "words" else i
        for kind, choice, widths in zip(self.kinds, self.choices, self.widths, strict=True):
            known = list(_OF[len(x.shape) - 1].values())
            x = known[kind % len(known)](widths[lane], choice, x)
        model = keras.Model(i, la.Dense(3, "softmax")(la.Flatten()(x)))
        model.compile(OPTIMIZERS[self.optimizer](), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def data(self, samples: int = 20) -> tuple[Any, Any]:
        """Inputs and targets."""
        rng = np.random.default_rng(0)
        shape = (samples, *SHAPES[self.inputs])
        if self.inputs == "words":
            x = rng.integers(0, WORDS, size=shape).astype("int32")
        else:
            x = rng.normal(size=shape).astype("float32")
        return x, rng.integers(0, 3, size=samples).astype("int32")


@st.composite
def stacks(draw: Any, layers: int = 4, lanes: int = 4, narrowest: int = 2) -> Stack:
    """Any `Stack` with some layers and some lanes."""
    depth, count = draw(st.integers(1, layers)), draw(st.integers(2, lanes))
    numbers = st.lists(st.integers(0, 199), min_size=depth, max_size=depth)
    width = st.lists(st.integers(narrowest, 9), min_size=count, max_size=count)
    return Stack(
        draw(st.sampled_from(list(SHAPES))),
        draw(numbers),
        [number % 6 for number in draw(numbers)],
        [draw(width) for _ in range(depth)],
        draw(st.sampled_from(list(OPTIMIZERS))),
    )
