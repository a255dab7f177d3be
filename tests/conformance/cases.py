"""The table of the conformance suite: what ``Model.fit`` can train, a case each.

In: nothing. Out: `CASES`; each has a builder, data and ``fit`` arguments. The test body is in
``test_conformance.py``, and ``docs/conformance.md`` is written from what it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import layers, ops

RNG = np.random.default_rng(42)
N = 40
"""Samples: of 30 for training, batches of 15 are two, so that there is little to compile."""

VECTORS = RNG.normal(size=(N, 6)).astype("float32")
POSITIVE = RNG.uniform(0.1, 1.0, size=(N, 3)).astype("float32")
TARGETS = RNG.normal(size=(N, 3)).astype("float32")
CLASSES = RNG.integers(0, 3, size=(N,)).astype("int32")
ONE_HOT = np.eye(3, dtype="float32")[CLASSES]
BINARY = RNG.integers(0, 2, size=(N, 1)).astype("float32")
SIGNS = (2 * RNG.integers(0, 2, size=(N, 3)) - 1).astype("float32")
SEQUENCES = RNG.normal(size=(N, 6, 4)).astype("float32")
TOKENS = RNG.integers(0, 9, size=(N, 6)).astype("int32")
IMAGES = RNG.uniform(size=(N, 8, 8, 3)).astype("float32")
VOLUMES = RNG.normal(size=(N, 5, 5, 5, 2)).astype("float32")
FILMS = RNG.normal(size=(N, 3, 6, 6, 2)).astype("float32")
MASKS = RNG.integers(0, 2, size=(N, 8, 8, 1)).astype("float32")

Builder = Callable[..., keras.Model]


@dataclass(frozen=True)
class Case:
    """One thing that Keras can train.

    Attributes:
        name: a few words.
        family: the heading that it stands under in the table.
        build: builder of ``rate``, a learning rate, and, where the model has a size, ``more``: how much to add to it.
        x: input data.
        y: targets.
        fit: arguments of ``fit`` besides the suite's own.
        rtol: how far logs may be from the reference's, relatively.
        atol: how far weights may be after the first epoch.
        why: why that is more than the suite's own tolerance.
        engine: where it must run.
        rates: learning rates of the two variants.
    """

    name: str
    family: str
    build: Builder
    x: Any = field(repr=False, default=None)
    y: Any = field(repr=False, default=None)
    fit: Mapping[str, Any] = field(repr=False, default_factory=dict)
    rtol: float = 1e-5
    atol: float = 1e-5
    why: str = ""
    engine: str = "lanes"
    rates: tuple[float, float] = (1e-2, 2e-3)


CASES: list[Case] = []


def case(
    name: str, family: str, x: Any = VECTORS, y: Any = CLASSES, **more: Any
) -> Callable[[Builder], Builder]:
    """Put a builder into the table."""

    def add(build: Builder) -> Builder:
        CASES.append(Case(name, family, build, x, y, **more))
        return build

    return add


def compiled(model: Any, rate: float, loss: Any = "sparse_categorical_crossentropy", **more: Any) -> Any:
    more.setdefault("optimizer", keras.optimizers.SGD(rate, momentum=0.9))
    model.compile(loss=loss, **more)
    return model


def stack(*inner: Any, shape: Any = (6,), end: Any = None) -> keras.Model:
    """Layers on top of each other, with a softmax over three classes, or another end."""
    end = [layers.Dense(3, "softmax")] if end is None else end
    return keras.Sequential([keras.Input(shape), *inner, *end])


# --- optimizers ---------------------------------------------------------------------------------------


def _optimizers() -> dict[str, Callable[[float], Any]]:
    o = keras.optimizers
    found: dict[str, Callable[[float], Any]] = {
        "SGD": o.SGD,
        "SGD, Nesterov": lambda rate: o.SGD(rate, momentum=0.8, nesterov=True),
        "RMSprop, centred": lambda rate: o.RMSprop(rate, centered=True, momentum=0.5),
        "Adam, AMSGrad": lambda rate: o.Adam(rate, amsgrad=True),
        "Lion": lambda rate: o.Lion(rate / 10),
    }
    for name in (
        "RMSprop",
        "Adam",
        "AdamW",
        "Adamax",
        "Nadam",
        "Adadelta",
        "Adagrad",
        "Adafactor",
        "Ftrl",
        "Lamb",
        "Muon",
    ):
        if hasattr(o, name):
            found[name] = getattr(o, name)
    clipped = {
        "clipnorm": {"clipnorm": 0.1},
        "global clipnorm": {"global_clipnorm": 0.1},
        "clipvalue": {"clipvalue": 0.01},
        "weight decay": {"weight_decay": 0.01},
        "EMA": {"use_ema": True, "ema_momentum": 0.9},
        "EMA with overwrite": {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 2},
        "gradient accumulation": {"gradient_accumulation_steps": 2},
        "loss scale factor": {"loss_scale_factor": 4.0},
    }
    for name, arguments in clipped.items():
        found[f"SGD, {name}"] = lambda rate, arguments=arguments: o.SGD(rate, **arguments)
    s = o.schedules
    schedules = {
        "exponential decay": lambda rate: s.ExponentialDecay(rate, 3, 0.7),
        "exponential decay, staircase": lambda rate: s.ExponentialDecay(rate, 2, 0.5, staircase=True),
        "piecewise constant": lambda rate: s.PiecewiseConstantDecay([2, 4], [rate, rate / 2, rate / 4]),
        "polynomial decay": lambda rate: s.PolynomialDecay(rate, 5, rate / 10, power=2.0),
        "inverse time decay": lambda rate: s.InverseTimeDecay(rate, 3, 0.5),
        "cosine decay with warm-up": lambda rate: s.CosineDecay(
            rate / 10, 5, warmup_target=rate, warmup_steps=2
        ),
        "cosine decay with restarts": lambda rate: s.CosineDecayRestarts(rate, 3),
    }
    for name, schedule in schedules.items():
        found[f"schedule: {name}"] = lambda rate, schedule=schedule: o.SGD(schedule(rate))
    return found


def _add_optimizers() -> None:
    for name, make in _optimizers().items():

        def build(rate: float, more: int = 0, make: Any = make) -> Any:
            hidden = layers.Dense(8 + more, "tanh")
            return compiled(stack(hidden), rate, optimizer=make(rate), metrics=["accuracy"])

        case(name, "optimizers")(build)


_add_optimizers()


# --- losses and metrics -------------------------------------------------------------------------------


def _losses() -> list[tuple[str, Any, Any, str | None]]:
    """Name, loss, targets, activation of the last layer."""
    k = keras.losses
    return [
        ("mean squared error", k.MeanSquaredError, TARGETS, None),
        ("mean absolute error", k.MeanAbsoluteError, TARGETS, None),
        ("mean absolute percentage error", k.MeanAbsolutePercentageError, POSITIVE, None),
        ("mean squared logarithmic error", k.MeanSquaredLogarithmicError, POSITIVE, "sigmoid"),
        ("Huber", lambda: k.Huber(0.5), TARGETS, None),
        ("log cosh", k.LogCosh, TARGETS, None),
        ("cosine similarity", k.CosineSimilarity, TARGETS, None),
        (
            "binary crossentropy, label smoothing",
            lambda: k.BinaryCrossentropy(label_smoothing=0.1),
            ONE_HOT,
            "sigmoid",
        ),
        ("binary focal crossentropy", k.BinaryFocalCrossentropy, ONE_HOT, "sigmoid"),
        (
            "categorical crossentropy from logits",
            lambda: k.CategoricalCrossentropy(from_logits=True),
            ONE_HOT,
            None,
        ),
        ("categorical focal crossentropy", k.CategoricalFocalCrossentropy, ONE_HOT, "softmax"),
        (
            "sparse categorical crossentropy, ignored class",
            lambda: k.SparseCategoricalCrossentropy(ignore_class=2),
            CLASSES,
            "softmax",
        ),
        ("Kullback-Leibler divergence", k.KLDivergence, POSITIVE, "softmax"),
        ("Poisson", k.Poisson, POSITIVE, "exponential"),
        ("hinge", k.Hinge, SIGNS, "tanh"),
        ("squared hinge", k.SquaredHinge, SIGNS, "tanh"),
        ("categorical hinge", k.CategoricalHinge, ONE_HOT, None),
        ("Dice", k.Dice, ONE_HOT, "sigmoid"),
        ("Tversky", k.Tversky, ONE_HOT, "sigmoid"),
        ("circle", lambda: k.Circle(gamma=4.0), CLASSES, None),
    ]


def _add_losses() -> None:
    for name, loss, y, activation in _losses():

        def build(rate: float, more: int = 0, loss: Any = loss, activation: Any = activation) -> Any:
            end = [layers.Dense(3, activation)]
            if isinstance(loss(), keras.losses.Circle):
                end.append(layers.UnitNormalization())
            return compiled(stack(layers.Dense(8 + more, "tanh"), end=end), rate, loss())

        case(name, "losses", y=y)(build)


_add_losses()


@case("CTC", "losses", SEQUENCES, RNG.integers(1, 4, size=(N, 2)).astype("int32"))
def ctc(rate: float) -> Any:
    return compiled(stack(shape=(6, 4), end=[layers.Dense(4)]), rate, keras.losses.CTC())


@case("a function", "losses", y=TARGETS)
def own_loss(rate: float) -> Any:
    return compiled(stack(end=[layers.Dense(3)]), rate, lambda y, p: ops.mean(ops.abs(y - p) ** 1.5, axis=-1))


def _metrics() -> dict[str, tuple[list[Callable[[], Any]], Any, Any, str | None]]:
    """Metrics, targets, loss, activation of the last layer."""
    m = keras.metrics
    threshold = {"thresholds": [0.3, 0.6]}
    return {
        "accuracies": (
            [m.CategoricalAccuracy, lambda: m.TopKCategoricalAccuracy(2), m.BinaryAccuracy, m.Accuracy],
            ONE_HOT,
            "categorical_crossentropy",
            "softmax",
        ),
        "sparse accuracies": (
            [
                m.SparseCategoricalAccuracy,
                lambda: m.SparseTopKCategoricalAccuracy(2),
                m.SparseCategoricalCrossentropy,
            ],
            CLASSES,
            "sparse_categorical_crossentropy",
            "softmax",
        ),
        "regression": (
            [
                m.MeanSquaredError,
                m.RootMeanSquaredError,
                m.MeanAbsoluteError,
                m.MeanAbsolutePercentageError,
                m.MeanSquaredLogarithmicError,
                m.CosineSimilarity,
                m.LogCoshError,
                m.R2Score,
                m.PearsonCorrelation,
                m.ConcordanceCorrelation,
            ],
            POSITIVE,
            "mse",
            "sigmoid",
        ),
        "probabilities": (
            [m.BinaryCrossentropy, m.CategoricalCrossentropy, m.KLDivergence, m.Poisson],
            ONE_HOT,
            "binary_crossentropy",
            "softmax",
        ),
        "hinges": ([m.Hinge, m.SquaredHinge, m.CategoricalHinge], SIGNS, "hinge", "tanh"),
        "confusion": (
            [
                lambda: m.AUC(20),
                lambda: m.AUC(20, curve="PR", multi_label=True, num_labels=3),
                lambda: m.Precision(**threshold),
                lambda: m.Recall(**threshold),
                m.TruePositives,
                m.TrueNegatives,
                m.FalsePositives,
                m.FalseNegatives,
                lambda: m.PrecisionAtRecall(0.5, 20),
                lambda: m.RecallAtPrecision(0.5, 20),
                lambda: m.SensitivityAtSpecificity(0.5, 20),
                lambda: m.SpecificityAtSensitivity(0.5, 20),
            ],
            ONE_HOT,
            "binary_crossentropy",
            "sigmoid",
        ),
        "F-scores and overlaps": (
            [
                lambda: m.F1Score("macro"),
                lambda: m.FBetaScore("micro", beta=2.0, threshold=0.5),
                lambda: m.OneHotMeanIoU(3),
                lambda: m.OneHotIoU(3, [0, 2]),
            ],
            ONE_HOT,
            "categorical_crossentropy",
            "softmax",
        ),
    }


def _add_metrics() -> None:
    for name, (metrics, y, loss, activation) in _metrics().items():

        def build(
            rate: float, more: int = 0, metrics: Any = metrics, loss: Any = loss, activation: Any = activation
        ) -> Any:
            model = stack(layers.Dense(8 + more, "tanh"), end=[layers.Dense(3, activation)])
            return compiled(model, rate, loss, metrics=[make() for make in metrics])

        case(f"metrics: {name}", "metrics", y=y)(build)


_add_metrics()


@case("metrics: several of one kind, and functions", "metrics", y=BINARY)
def counted_metrics(rate: float) -> Any:
    def spread(y: Any, predicted: Any) -> Any:
        return ops.max(predicted, axis=-1) - ops.min(predicted, axis=-1)

    model = stack(end=[layers.Dense(1, "sigmoid")])
    metrics = ["accuracy", keras.metrics.AUC(10), keras.metrics.AUC(10, curve="PR"), spread]
    return compiled(model, rate, "binary_crossentropy", metrics=metrics)


@case(
    "weighted metrics, sample weights",
    "metrics",
    fit={"sample_weight": np.linspace(0.1, 2.0, N).astype("float32")},
)
def weighted(rate: float, more: int = 0) -> Any:
    return compiled(
        stack(layers.Dense(4 + more, "tanh")), rate, metrics=["accuracy"], weighted_metrics=["accuracy"]
    )


@case("class weights", "metrics", fit={"class_weight": {0: 1.0, 1: 2.5, 2: 0.5}})
def class_weighted(rate: float, more: int = 0) -> Any:
    return compiled(stack(layers.Dense(4 + more, "tanh")), rate, weighted_metrics=["accuracy"])


# --- layers -------------------------------------------------------------------------------------------


def _add_layers() -> None:
    for family, members in _layers().items():
        for name, (shape, x, make) in members.items():

            def build(rate: float, more: int = 0, shape: Any = shape, make: Any = make) -> Any:
                return compiled(stack(*make(more), layers.Flatten(), shape=shape), rate, metrics=["accuracy"])

            # Keras itself does not compile these.
            by_itself = name in ("RandomTranslation", "RandomRotation, RandomZoom")
            case(name, family, x, engine="reference" if by_itself else "lanes")(build)


def _layers() -> dict[str, dict[str, tuple[Any, Any, Callable[[int], list[Any]]]]]:
    la = layers
    sequence, image, volume, film, vector = (6, 4), (8, 8, 3), (5, 5, 5, 2), (3, 6, 6, 2), (6,)
    s, i, v, f, x = SEQUENCES, IMAGES, VOLUMES, FILMS, VECTORS
    return {
        "core": {
            "Dense, constraints": (
                vector,
                x,
                lambda n: [la.Dense(4 + n, "tanh", kernel_constraint="max_norm", bias_constraint="non_neg")],
            ),
            "Dense, unit norm": (
                vector,
                x,
                lambda n: [la.Dense(4 + n, "tanh", kernel_constraint=keras.constraints.UnitNorm())],
            ),
            "Dense, regularizers": (
                vector,
                x,
                lambda n: [
                    la.Dense(
                        4 + n,
                        "tanh",
                        kernel_regularizer=keras.regularizers.L1L2(1e-3, 1e-3),
                        bias_regularizer="l2",
                        activity_regularizer="l1",
                    ),
                    la.Dense(4 + n, kernel_regularizer=keras.regularizers.OrthogonalRegularizer(0.01)),
                ],
            ),
            "Dense, LoRA": (vector, x, lambda n: [la.Dense(5 + n, "tanh", lora_rank=2)]),
            "EinsumDense": (
                sequence,
                s,
                lambda n: [la.EinsumDense("abc,cd->abd", (6, 5 + n), bias_axes="d", activation="tanh")],
            ),
            "Embedding": (vector, TOKENS, lambda n: [la.Embedding(9 + n, 4 + n)]),
            "Lambda": (vector, x, lambda n: [la.Dense(4 + n), la.Lambda(lambda t: ops.sin(t) * 2.0)]),
            "initializers": (
                vector,
                x,
                lambda n: [
                    la.Dense(4 + n, "tanh", kernel_initializer=name)
                    for name in (
                        "orthogonal",
                        "lecun_normal",
                        "he_uniform",
                        "truncated_normal",
                        "variance_scaling",
                    )
                ],
            ),
        },
        "convolution": {
            "Conv1D, causal, dilated": (
                sequence,
                s,
                lambda n: [la.Conv1D(4 + n, 3, padding="causal", dilation_rate=2, activation="tanh")],
            ),
            "Conv2D, strided, grouped": (
                image,
                i,
                lambda n: [la.Conv2D(6 + 3 * n, 3, strides=2, padding="same", groups=3, activation="tanh")],
            ),
            "Conv3D": (volume, v, lambda n: [la.Conv3D(3 + n, 3, activation="tanh")]),
            "SeparableConv1D": (sequence, s, lambda n: [la.SeparableConv1D(4 + n, 3, activation="tanh")]),
            "SeparableConv2D": (
                image,
                i,
                lambda n: [la.SeparableConv2D(4 + n, 3, depth_multiplier=2, activation="tanh")],
            ),
            "DepthwiseConv1D": (
                sequence,
                s,
                lambda n: [la.DepthwiseConv1D(3, depth_multiplier=2 + n, activation="tanh")],
            ),
            "DepthwiseConv2D": (
                image,
                i,
                lambda n: [la.DepthwiseConv2D(3, 2, depth_multiplier=1 + n, activation="tanh")],
            ),
            "Conv1DTranspose": (
                sequence,
                s,
                lambda n: [la.Conv1DTranspose(3 + n, 3, strides=2, activation="tanh")],
            ),
            "Conv2DTranspose": (
                image,
                i,
                lambda n: [la.Conv2DTranspose(3 + n, 3, strides=2, padding="same", activation="tanh")],
            ),
            "Conv3DTranspose": (volume, v, lambda n: [la.Conv3DTranspose(2 + n, 2, activation="tanh")]),
        },
        "pooling": {
            "MaxPooling1D, AveragePooling1D": (
                sequence,
                s,
                lambda n: [la.Conv1D(4 + n, 2), la.MaxPooling1D(2), la.AveragePooling1D(2, padding="same")],
            ),
            "MaxPooling2D, overlapping": (
                image,
                i,
                lambda n: [la.Conv2D(4 + n, 3), la.MaxPooling2D(3, 2, "same")],
            ),
            "AveragePooling2D": (image, i, lambda n: [la.Conv2D(4 + n, 3), la.AveragePooling2D(2)]),
            "MaxPooling3D, AveragePooling3D": (
                volume,
                v,
                lambda n: [la.Conv3D(2 + n, 2), la.MaxPooling3D(2), la.AveragePooling3D(2)],
            ),
            "global pooling": (
                image,
                i,
                lambda n: [
                    la.Conv2D(4 + n, 3, activation="tanh"),
                    la.GlobalMaxPooling2D(keepdims=True),
                    la.GlobalAveragePooling2D(),
                ],
            ),
        },
        "recurrent": {
            "SimpleRNN": (sequence, s, lambda n: [la.SimpleRNN(5 + n)]),
            "LSTM": (
                sequence,
                s,
                lambda n: [la.LSTM(5 + n, return_sequences=True), la.LSTM(4 + n, go_backwards=True)],
            ),
            "GRU, dropouts": (sequence, s, lambda n: [la.GRU(5 + n, dropout=0.2, recurrent_dropout=0.2)]),
            "LSTM, unrolled": (sequence, s, lambda n: [la.LSTM(4 + n, unroll=True)]),
            "masking": (
                sequence,
                np.where(s > 1.2, 0.0, s).astype("float32"),
                lambda n: [la.Masking(), la.LSTM(5 + n)],
            ),
            "Embedding with mask, GRU": (
                vector,
                TOKENS,
                lambda n: [la.Embedding(9 + n, 4 + n, mask_zero=True), la.GRU(5 + n)],
            ),
            "Bidirectional": (sequence, s, lambda n: [la.Bidirectional(la.LSTM(4 + n), merge_mode="ave")]),
            "TimeDistributed": (sequence, s, lambda n: [la.TimeDistributed(la.Dense(3 + n, "tanh"))]),
            "stacked cells": (sequence, s, lambda n: [la.RNN([la.GRUCell(4 + n), la.LSTMCell(3 + n)])]),
            "ConvLSTM1D": (
                (4, 6, 2),
                FILMS[:, :, :, :, 0].repeat(2, 1)[:, :4].reshape(N, 4, 6, 6)[..., :2].copy(),
                lambda n: [la.ConvLSTM1D(2 + n, 3)],
            ),
            "ConvLSTM2D": (film, f, lambda n: [la.ConvLSTM2D(2 + n, 3)]),
        },
        "normalisation": {
            "BatchNormalization": (
                vector,
                x,
                lambda n: [la.Dense(5 + n), la.BatchNormalization(momentum=0.8)],
            ),
            "LayerNormalization": (vector, x, lambda n: [la.Dense(5 + n), la.LayerNormalization()]),
            "GroupNormalization": (image, i, lambda n: [la.Conv2D(4 + 2 * n, 3), la.GroupNormalization(2)]),
            "UnitNormalization": (vector, x, lambda n: [la.Dense(5 + n), la.UnitNormalization()]),
            "RMSNormalization": (vector, x, lambda n: [la.Dense(5 + n), la.RMSNormalization()]),
            "SpectralNormalization": (
                vector,
                x,
                lambda n: [la.SpectralNormalization(la.Dense(5 + n, "tanh"))],
            ),
        },
        "noise": {
            "Dropout": (
                vector,
                x,
                lambda n: [la.Dense(8 + n, "tanh"), la.Dropout(0.4), la.Dropout(0.2, seed=7)],
            ),
            "SpatialDropout": (image, i, lambda n: [la.Conv2D(6 + n, 3), la.SpatialDropout2D(0.3)]),
            "GaussianDropout, GaussianNoise": (
                vector,
                x,
                lambda n: [la.Dense(8 + n), la.GaussianDropout(0.3), la.GaussianNoise(0.2)],
            ),
            "AlphaDropout": (
                vector,
                x,
                lambda n: [la.Dense(8 + n, "selu", kernel_initializer="lecun_normal"), la.AlphaDropout(0.2)],
            ),
            "ActivityRegularization": (
                vector,
                x,
                lambda n: [la.Dense(5 + n, "tanh"), la.ActivityRegularization(0.01, 0.02)],
            ),
        },
        "reshaping": {
            "Reshape, Permute, RepeatVector": (
                vector,
                x,
                lambda n: [
                    la.Dense(6 + 3 * n, "tanh"),
                    la.Reshape((2 + n, 3)),
                    la.Permute((2, 1)),
                    la.Flatten(),
                    la.RepeatVector(2),
                ],
            ),
            "padding, cropping, upsampling": (
                image,
                i,
                lambda n: [
                    la.ZeroPadding2D(1),
                    la.Conv2D(3 + n, 3),
                    la.Cropping2D(2),
                    la.UpSampling2D(2, interpolation="bilinear"),
                    la.UpSampling2D(2),
                ],
            ),
            "Resizing, Rescaling": (
                image,
                i,
                lambda n: [
                    la.Rescaling(2.0, -1.0),
                    la.Resizing(6, 6),
                    la.Conv2D(3 + n, 3, activation="tanh"),
                ],
            ),
        },
        "activations": {
            "activation layers": (
                vector,
                x,
                lambda n: [
                    la.Dense(6 + n),
                    la.LeakyReLU(0.1),
                    la.Dense(6 + n),
                    la.PReLU(),
                    la.Dense(6 + n),
                    la.ELU(),
                    la.Softmax(),
                ],
            ),
            "activation functions": (
                vector,
                x,
                lambda n: [
                    la.Dense(6 + n, name)
                    for name in (
                        "gelu",
                        "silu",
                        "softplus",
                        "softsign",
                        "hard_sigmoid",
                        "mish",
                        "celu",
                        "selu",
                    )
                ],
            ),
        },
        "preprocessing": {
            "Normalization, given": (
                vector,
                x,
                lambda n: [la.Normalization(mean=0.5, variance=2.0), la.Dense(4 + n, "tanh")],
            ),
            "RandomFlip": (image, i, lambda n: [la.RandomFlip(), la.Conv2D(3 + n, 3)]),
            "RandomTranslation": (image, i, lambda n: [la.RandomTranslation(0.2, 0.2), la.Conv2D(3 + n, 3)]),
            "RandomRotation, RandomZoom": (
                image,
                i,
                lambda n: [la.RandomRotation(0.1), la.RandomZoom(0.2), la.Conv2D(3 + n, 3)],
            ),
            "RandomContrast, RandomBrightness": (
                image,
                i,
                lambda n: [la.RandomContrast(0.3), la.RandomBrightness(0.2, (0.0, 1.0)), la.Conv2D(3 + n, 3)],
            ),
            "CategoryEncoding": (
                vector,
                TOKENS,
                lambda n: [la.CategoryEncoding(9, "multi_hot"), la.Dense(4 + n, "tanh")],
            ),
            "Discretization": (
                vector,
                x,
                lambda n: [
                    la.Discretization([-1.0, 0.0, 1.0], output_mode="int"),
                    la.Embedding(4 + n, 3 + n),
                ],
            ),
        },
    }


_add_layers()


# --- attention and merging ----------------------------------------------------------------------------


def _functional(rate: float, shape: Any, connect: Callable[[Any], Any]) -> Any:
    inputs = keras.Input(shape)
    outputs = layers.Dense(3, "softmax")(layers.Flatten()(connect(inputs)))
    return compiled(keras.Model(inputs, outputs), rate, metrics=["accuracy"])


def _add_connections() -> None:
    la = layers

    def merged(t: Any, n: int) -> Any:
        a, b, c = (la.Dense(4 + n, "tanh")(t) for _ in "abc")
        both = [la.Add()([a, b]), la.Multiply()([a, c]), la.Subtract()([b, c]), la.Average()([a, b, c])]
        return la.Concatenate()([*both, la.Maximum()([a, b]), la.Minimum()([b, c]), la.Dot(1)([a, c])])

    connections: dict[str, tuple[str, Any, Any, Callable[[Any, int], Any]]] = {
        "merging layers": ("merging", (6,), VECTORS, merged),
        "Attention": (
            "attention",
            (6, 4),
            SEQUENCES,
            lambda t, n: la.Attention(use_scale=True, dropout=0.1)([la.Dense(4 + n)(t), la.Dense(4 + n)(t)]),
        ),
        "AdditiveAttention": (
            "attention",
            (6, 4),
            SEQUENCES,
            lambda t, n: la.AdditiveAttention()([la.Dense(4 + n)(t), la.Dense(4 + n)(t)]),
        ),
        "MultiHeadAttention, causal": (
            "attention",
            (6, 4),
            SEQUENCES,
            lambda t, n: la.MultiHeadAttention(2 + n % 2, 3 + n, dropout=0.1)(t, t, use_causal_mask=True),
        ),
        "GroupQueryAttention": (
            "attention",
            (6, 4),
            SEQUENCES,
            lambda t, n: la.GroupQueryAttention(3 + n, 4, 2)(t, t),
        ),
        "operations of keras.ops": (
            "merging",
            (6,),
            VECTORS,
            lambda t, n: ops.concatenate([ops.tanh(la.Dense(4 + n)(t)) * 2.0, t[:, :2]], axis=-1),
        ),
    }
    for name, (family, shape, x, connect) in connections.items():

        def build(rate: float, more: int = 0, shape: Any = shape, connect: Any = connect) -> Any:
            return _functional(rate, shape, lambda t: connect(t, more))

        case(name, family, x)(build)


_add_connections()


# --- several inputs and outputs -----------------------------------------------------------------------

TWO = {"a": VECTORS, "b": VECTORS[::-1].copy()}
ONE_AND_TWO = {"one": TARGETS, "two": CLASSES}


def _two(rate: float, more: int, **arguments: Any) -> Any:
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    shared = layers.Dense(5 + more, "tanh", name="shared")
    both = layers.Concatenate()([shared(a), shared(b)])
    outputs = {"one": layers.Dense(3, name="one")(both), "two": layers.Dense(3, "softmax", name="two")(both)}
    loss = {"one": "mse", "two": "sparse_categorical_crossentropy"}
    return compiled(keras.Model({"a": a, "b": b}, outputs), rate, loss, **arguments)


@case("two outputs, loss weights, metrics by name", "several outputs", TWO, ONE_AND_TWO)
def two_outputs(rate: float, more: int = 0) -> Any:
    metrics = {"one": ["mae"], "two": ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2)]}
    return _two(rate, more, loss_weights={"one": 0.3, "two": 1.2}, metrics=metrics)


@case(
    "two outputs, sample weights of each",
    "several outputs",
    TWO,
    ONE_AND_TWO,
    fit={"sample_weight": {"one": np.linspace(0, 1, N), "two": np.linspace(1, 0.2, N)}},
)
def two_weighted(rate: float, more: int = 0) -> Any:
    return _two(rate, more, weighted_metrics={"one": ["mse"], "two": ["accuracy"]})


@case("outputs in a list, one without a loss", "several outputs", VECTORS, [TARGETS, TARGETS])
def listed(rate: float, more: int = 0) -> Any:
    inputs = keras.Input((6,))
    body = layers.Dense(6 + more, "tanh")(inputs)
    model = keras.Model(inputs, [layers.Dense(3)(body), layers.Dense(3)(body)])
    return compiled(model, rate, ["mse", None], metrics=[["mae"], ["mse"]])


# --- precision and compilation ------------------------------------------------------------------------


def _precise(rate: float, more: int, policy: str, **arguments: Any) -> Any:
    hidden = [layers.Dense(8 + more, "tanh", dtype=policy), layers.Dense(8 + more, "tanh", dtype=policy)]
    model = stack(*hidden, end=[layers.Dense(3, "softmax", dtype="float32" if "mixed" in policy else policy)])
    return compiled(model, rate, **arguments)


_HALF = {"rtol": 4e-3, "atol": 4e-3, "why": "11 bits, and XLA keeps more of them where it fuses"}
_BRAIN = {"rtol": 2e-2, "atol": 2e-2, "why": "8 bits, and XLA keeps more of them where it fuses"}


@case("mixed float16", "precision", **_HALF)
def mixed_float16(rate: float, more: int = 0) -> Any:
    return _precise(rate, more, "mixed_float16")


@case("mixed float16, scaled loss", "precision", **_HALF)
def scaled_float16(rate: float, more: int = 0) -> Any:
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(rate), initial_scale=256.0)
    return _precise(rate, more, "mixed_float16", optimizer=optimizer)


@case("mixed float16, loss scaled by Keras", "precision", **_HALF)
def automatic_float16(rate: float, more: int = 0) -> Any:
    keras.config.set_dtype_policy("mixed_float16")
    model = stack(layers.Dense(8 + more, "tanh"), end=[layers.Dense(3, "softmax", dtype="float32")])
    return compiled(model, rate, optimizer=keras.optimizers.Adam(rate))


@case("mixed bfloat16", "precision", **_BRAIN)
def mixed_bfloat16(rate: float, more: int = 0) -> Any:
    return _precise(rate, more, "mixed_bfloat16")


@case("float64 layers", "precision")
def double(rate: float, more: int = 0) -> Any:
    return _precise(rate, more, "float64")


@case("jit_compile=False", "compilation", engine="reference")
def not_compiled(rate: float) -> Any:
    return compiled(stack(layers.Dense(8, "tanh")), rate, jit_compile=False)


@case("steps_per_execution", "compilation")
def several_steps(rate: float, more: int = 0) -> Any:
    return compiled(stack(layers.Dense(8 + more, "tanh")), rate, steps_per_execution=2, metrics=["accuracy"])


@case("run_eagerly", "compilation", engine="reference")
def eager(rate: float) -> Any:
    return compiled(stack(layers.Dense(4, "tanh")), rate, run_eagerly=True)


# --- frozen and shared --------------------------------------------------------------------------------


@case("a frozen layer", "frozen and shared")
def frozen(rate: float, more: int = 0) -> Any:
    return compiled(stack(layers.Dense(5 + more, "tanh", trainable=False), layers.BatchNormalization()), rate)


@case("frozen after it was built", "frozen and shared")
def frozen_later(rate: float, more: int = 0) -> Any:
    model = stack(layers.Dense(5 + more, "tanh"), layers.BatchNormalization(), layers.Dense(5, "tanh"))
    model.layers[0].trainable = False
    model.layers[1].trainable = False
    return compiled(model, rate)


@case("a layer used twice", "frozen and shared")
def shared_layer(rate: float, more: int = 0) -> Any:
    dense = layers.Dense(6, "tanh")
    wide = layers.Dense(4 + more)
    return _functional(rate, (6,), lambda t: wide(dense(dense(t))))


@case("nested models", "frozen and shared")
def nested(rate: float, more: int = 0) -> Any:
    hidden = [layers.Dense(5 + more, "tanh"), layers.Dropout(0.2)]
    inner = keras.Sequential([keras.Input((6,)), *hidden], name="inner")
    outer = keras.Sequential([keras.Input((6,)), inner, layers.Dense(4, "tanh")], name="outer")
    return _functional(rate, (6,), lambda t: outer(t) + outer(t * 0.5))


# --- own code -----------------------------------------------------------------------------------------


class Noisy(layers.Layer):
    """A weight, a loss and random numbers of its own."""

    def __init__(self, factor: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor
        self.seeds = keras.random.SeedGenerator(5)

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")

    def call(self, x: Any, training: bool = False) -> Any:
        self.add_loss(self.factor * ops.mean(ops.square(x)))
        if training:
            x = x + 0.1 * keras.random.normal(ops.shape(x), seed=self.seeds)
            self.calls.assign_add(1.0)
        return x * self.scale


@case("a layer with add_loss, add_weight and a seed generator", "own code")
def own_layer(rate: float, more: int = 0) -> Any:
    return compiled(stack(layers.Dense(5 + more), Noisy(0.05)), rate, metrics=["accuracy"])


class Subclassed(keras.Model):
    """Layers made in the constructor, built when called."""

    def __init__(self, units: int = 6) -> None:
        super().__init__()
        self.hidden = layers.Dense(units, "tanh")
        self.drop = layers.Dropout(0.2)
        self.out = layers.Dense(3, "softmax")

    def call(self, x: Any, training: bool = False) -> Any:
        return self.out(self.drop(self.hidden(x), training=training))


@case("a subclassed model, a smaller last batch", "own code", fit={"batch_size": 16})
def subclassed(rate: float, more: int = 0) -> Any:
    return compiled(Subclassed(6 + more), rate, metrics=["accuracy"])


class OwnLoss(Subclassed):
    """Its own ``compute_loss``, and a metric for it."""

    def __init__(self, units: int = 6) -> None:
        super().__init__(units)
        self.sharpness = keras.metrics.Mean(name="sharpness")

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        sharp = ops.mean(ops.max(y_pred, axis=-1))
        self.sharpness.update_state(sharp)
        return loss + 0.1 * sharp


@case("compute_loss", "own code")
def own_compute_loss(rate: float, more: int = 0) -> Any:
    return compiled(OwnLoss(6 + more), rate)


class OwnStep(Subclassed):
    """The JAX way of a custom training step: stateless calls and gradients by hand."""

    def train_step(self, state: Any, data: Any) -> Any:
        import jax

        trainable, other, optimizer, metrics = state
        x, y = data

        def loss_of(trainable: Any, other: Any) -> Any:
            predicted, other = self.stateless_call(trainable, other, x, training=True)
            return ops.mean(keras.losses.sparse_categorical_crossentropy(y, predicted)), other

        (loss, other), slopes = jax.value_and_grad(loss_of, has_aux=True)(trainable, other)
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, slopes, trainable)
        return {"loss": loss}, (trainable, other, optimizer, metrics)


@case("train_step", "own code", fit={"validation_split": 0.0})
def own_train_step(rate: float, more: int = 0) -> Any:
    model = OwnStep(6 + more)
    model(VECTORS[:1])
    return compiled(model, rate)


class OwnOptimizer(keras.optimizers.SGD):
    """Takes roots of gradients."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        step = ops.sign(gradient) * ops.sqrt(ops.abs(gradient) + 1e-4)
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * step)


@case("an optimizer", "own code")
def own_optimizer(rate: float, more: int = 0) -> Any:
    return compiled(stack(layers.Dense(5 + more, "tanh")), rate, optimizer=OwnOptimizer(rate / 10))


# --- whole models -------------------------------------------------------------------------------------


@case("autoencoder", "whole models", VECTORS, VECTORS)
def autoencoder(rate: float, more: int = 0) -> Any:
    return compiled(stack(layers.Dense(2 + more, "tanh"), end=[layers.Dense(6)]), rate, "mse")


class Sampling(layers.Layer):
    """Draws from a normal distribution, and adds its divergence from the standard one to the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.seeds = keras.random.SeedGenerator(3)

    def call(self, inputs: Any) -> Any:
        mean, log_variance = inputs
        divergence = -0.5 * ops.mean(1 + log_variance - ops.square(mean) - ops.exp(log_variance))
        self.add_loss(0.1 * divergence)
        return mean + ops.exp(0.5 * log_variance) * keras.random.normal(ops.shape(mean), seed=self.seeds)


@case("variational autoencoder", "whole models", VECTORS, VECTORS)
def variational(rate: float, more: int = 0) -> Any:
    inputs = keras.Input((6,))
    body = layers.Dense(5 + more, "tanh")(inputs)
    code = Sampling()([layers.Dense(2)(body), layers.Dense(2)(body)])
    return compiled(keras.Model(inputs, layers.Dense(6)(code)), rate, "mse")


class Gan(keras.Model):
    """Two networks and two optimizers in one training step."""

    def __init__(self, rate: float, units: int) -> None:
        super().__init__()
        self.generator = keras.Sequential([keras.Input((2,)), layers.Dense(units, "tanh"), layers.Dense(6)])
        self.critic = keras.Sequential([keras.Input((6,)), layers.Dense(6, "tanh"), layers.Dense(1)])
        self.seeds = keras.random.SeedGenerator(9)
        self.second = keras.optimizers.SGD(rate)
        self.second.build(self.critic.trainable_variables)
        self.second_state = [
            self.add_weight(shape=v.shape, dtype=v.dtype, trainable=False) for v in self.second.variables
        ]
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        return self.critic(x, training=training)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        noise = keras.random.normal((ops.shape(x)[0], 2), seed=self.seeds)
        fake = self.generator(noise, training=training)
        real_score, fake_score = self.critic(x), self.critic(fake)
        critic = ops.mean(ops.softplus(-real_score)) + ops.mean(ops.softplus(fake_score))
        return critic + ops.mean(ops.softplus(-fake_score))


@case("generative adversarial network", "whole models", VECTORS, np.zeros((N, 1), "float32"))
def gan(rate: float, more: int = 0) -> Any:
    return compiled(Gan(rate, 6 + more), rate, "mse")


@case("transformer", "whole models", TOKENS)
def transformer(rate: float, more: int = 0) -> Any:
    inputs = keras.Input((6,), dtype="int32")
    place = layers.Embedding(6, 8 + more)(ops.arange(6))
    x = layers.Embedding(9, 8 + more)(inputs) + place
    for _ in range(2):
        normal = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(2, 4 + more, dropout=0.1)(normal, normal)
        x = x + layers.Dense(8 + more)(layers.Dense(16 + 2 * more, "gelu")(layers.LayerNormalization()(x)))
    outputs = layers.Dense(3, "softmax")(layers.GlobalAveragePooling1D()(x))
    return compiled(
        keras.Model(inputs, outputs), rate, optimizer=keras.optimizers.SGD(rate), metrics=["accuracy"]
    )


@case("U-Net", "whole models", IMAGES, MASKS)
def u_net(rate: float, more: int = 0) -> Any:
    inputs = keras.Input((8, 8, 3))
    top = layers.Conv2D(4 + more, 3, padding="same", activation="tanh")(inputs)
    bottom = layers.Conv2D(6 + 2 * more, 3, padding="same", activation="tanh")(layers.MaxPooling2D()(top))
    up = layers.Conv2DTranspose(4 + more, 2, strides=2)(bottom)
    outputs = layers.Conv2D(1, 1, activation="sigmoid")(layers.Concatenate()([top, up]))
    metrics = [keras.metrics.BinaryIoU()]
    return compiled(keras.Model(inputs, outputs), rate, "binary_crossentropy", metrics=metrics)


@case("residual network", "whole models", IMAGES)
def residual(rate: float, more: int = 0) -> Any:
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4 + more, 3, padding="same")(inputs)
    for _ in range(2):
        y = layers.Conv2D(4 + more, 3, padding="same", use_bias=False)(layers.Activation("tanh")(x))
        x = x + layers.BatchNormalization()(y)
    outputs = layers.Dense(3, "softmax")(layers.GlobalAveragePooling2D()(x))
    return compiled(keras.Model(inputs, outputs), rate, metrics=["accuracy"])


@case("siamese network", "whole models", TWO, BINARY)
def siamese(rate: float, more: int = 0) -> Any:
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    tower = keras.Sequential([keras.Input((6,)), layers.Dense(5 + more, "tanh"), layers.UnitNormalization()])
    outputs = layers.Dense(1, "sigmoid")(ops.abs(tower(a) - tower(b)))
    return compiled(keras.Model({"a": a, "b": b}, outputs), rate, "binary_crossentropy", metrics=["accuracy"])


@case("wide and deep", "whole models", (VECTORS, TOKENS), CLASSES)
def wide_and_deep(rate: float, more: int = 0) -> Any:
    numbers, words = keras.Input((6,)), keras.Input((6,), dtype="int32")
    wide = layers.CategoryEncoding(9, "count")(words)
    deep = layers.Dense(6 + more, "tanh")(
        layers.Concatenate()([numbers, layers.Flatten()(layers.Embedding(9, 3 + more)(words))])
    )
    outputs = layers.Dense(3, "softmax")(layers.Concatenate()([wide, deep]))
    return compiled(keras.Model([numbers, words], outputs), rate, metrics=["accuracy"])
