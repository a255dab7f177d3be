"""The builders of the benchmarks: plain functions that return a fresh, compiled Keras model.

Imported by workers only, so that ``KERAS_BACKEND`` is set by then. Nothing here knows of any peer.
"""

from __future__ import annotations

import keras
from keras import layers


def digits_mlp(learning_rate: float = 1e-3) -> keras.Model:
    """64-64-64-10 with one dropout, RMSprop."""
    model = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    return _compiled(model, keras.optimizers.RMSprop(learning_rate))


def digits_curves(
    learning_rate: float = 1e-3,
    dropout: float = 0.3,
    l2: float = 1e-5,
    units: int = 64,
    activation: str = "relu",
) -> keras.Model:
    """64-units-units-10 with one dropout and a penalty on both hidden kernels, RMSprop."""
    inner = {"activation": activation, "kernel_regularizer": keras.regularizers.L2(l2)}
    model = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(units, **inner),
            layers.Dropout(dropout),
            layers.Dense(units, **inner),
            layers.Dense(10, activation="softmax"),
        ]
    )
    return _compiled(model, keras.optimizers.RMSprop(learning_rate))


def digits_units(units: int = 32) -> keras.Model:
    """The same with another width of both hidden layers; the learning rate is RMSprop's own."""
    model = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(units, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(units, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    return _compiled(model, keras.optimizers.RMSprop())


def digits_depths(depth: int = 2, units: int = 32) -> keras.Model:
    """As many hidden layers of a width, each normalised; AdamW."""
    inner = []
    for _ in range(depth):
        inner += [layers.Dense(units, activation="gelu"), layers.LayerNormalization(), layers.Dropout(0.1)]
    model = keras.Sequential([keras.Input((64,)), *inner, layers.Dense(10, activation="softmax")])
    return _compiled(model, keras.optimizers.AdamW(1e-3))


def digits_own_loss(learning_rate: float = 1e-3) -> keras.Model:
    """The same with a loss function of one's own, which calculates what Keras's does."""
    model = digits_mlp(learning_rate)
    model.compile(model.optimizer, own_crossentropy, metrics=["accuracy"])
    return model


def own_crossentropy(y: object, p: object) -> object:
    """Sparse categorical crossentropy of probabilities, per sample."""
    return keras.ops.sparse_categorical_crossentropy(y, p)


def mnist_mlp(learning_rate: float = 1e-3) -> keras.Model:
    """784-256-128-10 with dropout 0.4 and 0.3, RMSprop."""
    model = keras.Sequential(
        [
            keras.Input((784,)),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.4),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax"),
        ]
    )
    return _compiled(model, keras.optimizers.RMSprop(learning_rate))


def cnn(learning_rate: float = 1e-3) -> keras.Model:
    """Two 3×3 convolutions of 16 and 32 filters, each with a 2×2 max-pool; dropout, dense; Adam."""
    return cnn_filters(16, learning_rate)


def cnn_filters(filters: int = 16, learning_rate: float = 1e-3) -> keras.Model:
    """The same with another number of filters, and twice as many in the second convolution."""
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(filters, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(2 * filters, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(10, activation="softmax"),
        ]
    )
    return _compiled(model, keras.optimizers.Adam(learning_rate))


def lstm(learning_rate: float = 1e-3) -> keras.Model:
    """LSTM(32) over the 28 rows of an image; Adam."""
    model = keras.Sequential([keras.Input((28, 28)), layers.LSTM(32), layers.Dense(10, activation="softmax")])
    return _compiled(model, keras.optimizers.Adam(learning_rate))


def attention(learning_rate: float = 1e-3) -> keras.Model:
    """One attention block over the 28 rows of an image: embed, attend, add, norm, pool; Adam."""
    inputs = keras.Input((28, 28))
    embedded = layers.Dense(32)(inputs)
    attended = layers.MultiHeadAttention(num_heads=4, key_dim=8)(embedded, embedded)
    normalised = layers.LayerNormalization()(layers.Add()([embedded, attended]))
    pooled = layers.GlobalAveragePooling1D()(normalised)
    outputs = layers.Dense(10, activation="softmax")(pooled)
    return _compiled(keras.Model(inputs, outputs), keras.optimizers.Adam(learning_rate))


def _compiled(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> keras.Model:
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
