"""The contract: what lanes train is what Keras alone trains, kind of model by kind of model.

Every case compares `fairlane.compare` on lanes with three lines of Keras (`_alone.keras_alone`): all logs of
the first five epochs to 1e-5, and every variable of the trained model and its optimizer. Where a case is
compared more loosely it says why. Of the lanes, two seeds of each variant, the first case compares all; the others
each second, as on a chessboard, which sees lanes that were mixed up all the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

import fairlane as fl
from _alone import assert_logs_agree, assert_variables_agree, history_of, keras_alone, variables

RNG = np.random.default_rng(20)
N = 128  # 96 to train on and 32 to validate on: batches of 16 make one program of each
VECTORS = RNG.normal(size=(N, 6)).astype("float32")
CLASSES = (VECTORS[:, 0] * VECTORS[:, 1] > 0).astype("int32") + (VECTORS[:, 2] > 0.5)
BINARY = (CLASSES > 0).astype("float32")[:, None]
TARGETS = np.tanh(VECTORS @ RNG.normal(size=(6, 2))).astype("float32")
IMAGES = RNG.normal(size=(N, 8, 8, 1)).astype("float32")
SERIES = RNG.normal(size=(N, 6, 3)).astype("float32")
PADDED = SERIES * (np.arange(6) < RNG.integers(2, 7, size=N)[:, None])[:, :, None].astype("float32")
TOKENS = RNG.integers(0, 12, size=(N, 6)).astype("int32")
WEIGHTS = RNG.uniform(0.5, 2.0, size=N).astype("float32")


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        name: of the test.
        build: the builder.
        grid: its variants.
        x: inputs.
        y: targets.
        fit: other arguments of ``Model.fit``, in addition to `_FIT`.
        fleets: how many fleets the trials must make.
        rtol: of the logs.
        weights: absolute tolerance of the trained variables.
        why: why a tolerance is not the common one.
        slow: whether it takes more than five seconds.
    """

    name: str
    build: Callable[..., keras.Model]
    grid: Mapping[str, Sequence[Any]]
    x: Any = field(default_factory=lambda: VECTORS)
    y: Any = field(default_factory=lambda: CLASSES)
    fit: Mapping[str, Any] = field(default_factory=dict)
    fleets: int = 1
    rtol: float = 1e-5
    weights: float = 1e-5
    why: str = ""
    slow: bool = False

    def __post_init__(self) -> None:
        loose = self.rtol > 1e-5 or self.weights > 1e-5
        assert loose == bool(self.why), f"{self.name}: a tolerance of its own has a reason"


_FIT = {"epochs": 5, "batch_size": 16, "validation_split": 0.25}
_RATES = {"learning_rate": [1e-2, 1e-3]}


def compiled(model: keras.Model, optimizer: Any, loss: Any = None, **arguments: Any) -> keras.Model:
    if loss is None:
        loss = "sparse_categorical_crossentropy"
    if loss == "sparse_categorical_crossentropy":
        arguments.setdefault("metrics", ["accuracy"])
    model.compile(optimizer=optimizer, loss=loss, **arguments)
    return model


def stack(*inside: Any, shape: tuple[int, ...] = (6,), classes: int = 3) -> keras.Model:
    last = [layers.Dense(classes, activation="softmax")] if classes else []
    return keras.Sequential([keras.Input(shape), *inside, *last])


def mlp(**dense: Any) -> keras.Model:
    return stack(layers.Dense(8, activation="tanh", **dense))


def adam(learning_rate: float) -> keras.optimizers.Optimizer:
    return keras.optimizers.Adam(learning_rate)


# --- layers ---------------------------------------------------------------------------------------------


def dense(learning_rate):
    return compiled(mlp(), adam(learning_rate))


def batch_normalization(learning_rate, momentum=0.99):
    norm = layers.BatchNormalization(momentum=momentum)
    inside = (layers.Dense(8, use_bias=False), norm, layers.Activation("tanh"))
    return compiled(stack(*inside), adam(learning_rate))


def dropout(rate):
    inside = (layers.Dense(16, activation="tanh"), layers.Dropout(rate), layers.Dense(8))
    return compiled(stack(*inside), adam(1e-2))


def dropouts_of_all_kinds(rate):
    inside = (
        layers.SpatialDropout1D(rate),
        layers.GaussianDropout(rate),
        layers.AlphaDropout(rate),
        layers.Flatten(),
    )
    return compiled(stack(*inside, shape=(6, 3)), adam(1e-2))


def gaussian_noise(stddev):
    inside = (layers.GaussianNoise(stddev), layers.Dense(8, activation="tanh"))
    return compiled(stack(*inside), adam(1e-2))


def layer_normalization(epsilon):
    inside = (layers.Dense(8), layers.LayerNormalization(epsilon=epsilon), layers.Activation("tanh"))
    return compiled(stack(*inside), adam(1e-2))


def convolution(learning_rate):
    inside = (
        layers.Conv2D(4, 3, activation="tanh"),
        layers.MaxPooling2D(),
        layers.Flatten(),
    )
    return compiled(stack(*inside, shape=(8, 8, 1)), keras.optimizers.RMSprop(learning_rate))


def lstm(learning_rate):
    return compiled(stack(layers.LSTM(6), shape=(6, 3)), adam(learning_rate))


def masked_gru(learning_rate):
    inside = (layers.Masking(), layers.GRU(6, recurrent_dropout=0.1))
    return compiled(stack(*inside, shape=(6, 3)), adam(learning_rate))


def stateful_rnn(learning_rate):
    model = keras.Sequential(
        [
            keras.Input((6, 3), batch_size=16),
            layers.SimpleRNN(4, stateful=True),
            layers.Dense(3, activation="softmax"),
        ]
    )
    return compiled(model, adam(learning_rate))


def bidirectional(units):
    inside = (layers.Bidirectional(layers.GRU(units)), layers.Dropout(0.1))
    return compiled(stack(*inside, shape=(6, 3)), adam(1e-2))


def attention(learning_rate, rate=0.1):
    tokens = keras.Input((6,), dtype="int32")
    embedded = layers.Embedding(12, 8, mask_zero=True)(tokens)
    attended = layers.MultiHeadAttention(2, 4, dropout=rate)(embedded, embedded)
    summed = layers.LayerNormalization()(layers.Add()([embedded, attended]))
    out = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(summed))
    return compiled(keras.Model(tokens, out), adam(learning_rate))


def autoencoder(units):
    inside = (layers.Dense(units, activation="tanh"), layers.Dense(6))
    return compiled(stack(*inside, classes=0), "adam", "mse", metrics=["mae"])


def activation(name):
    return compiled(stack(layers.Dense(8, activation=name)), adam(1e-2))


def lambda_layer(factor):
    inside = (layers.Dense(8), layers.Lambda(lambda t: ops.tanh(factor * t)))
    return compiled(stack(*inside), adam(1e-2))


def shared_layer(learning_rate):
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    shared = layers.Dense(5, activation="tanh")
    both = layers.Concatenate()([shared(a), shared(b), shared(layers.Subtract()([a, b]))])
    out = layers.Dense(3, activation="softmax")(both)
    return compiled(keras.Model([a, b], out), adam(learning_rate))


def nested_models(learning_rate, rate):
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(8, "tanh"), layers.Dropout(rate)])
    inputs = keras.Input((6,))
    out = layers.Dense(3, activation="softmax")(inner(inputs))
    return compiled(keras.Model(inputs, out), adam(learning_rate))


def frozen(learning_rate):
    first = layers.Dense(8, activation="tanh")
    normalised = layers.BatchNormalization()
    first.trainable = normalised.trainable = False
    return compiled(stack(first, normalised), adam(learning_rate))


def not_built(units):
    model = keras.Sequential([layers.Dense(units, "tanh"), layers.Dropout(0.2), layers.Dense(3, "softmax")])
    return compiled(model, adam(1e-2))


def augmentation(factor):
    inside = (
        layers.RandomFlip("horizontal"),
        layers.RandomContrast(factor),
        layers.Flatten(),
        layers.Dense(8, activation="tanh"),
    )
    return compiled(stack(*inside, shape=(8, 8, 1)), adam(1e-2))


def spectral(learning_rate):
    inside = (layers.SpectralNormalization(layers.Dense(8, activation="tanh")), layers.UnitNormalization())
    return compiled(stack(*inside), adam(learning_rate))


def constrained(limit):
    return compiled(mlp(kernel_constraint=keras.constraints.MaxNorm(limit)), adam(1e-2))


# --- inputs, outputs, losses, metrics ---------------------------------------------------------------------


def two_and_two(weight):
    left, right = keras.Input((6,), name="left"), keras.Input((6, 3), name="right")
    a = layers.Dense(8, activation="tanh")(left)
    b = layers.Dense(8, activation="tanh")(layers.Flatten()(right))
    both = layers.Concatenate()([a, b])
    kind = layers.Dense(3, activation="softmax", name="kind")(both)
    size = layers.Dense(2, name="size")(both)
    model = keras.Model({"left": left, "right": right}, {"kind": kind, "size": size})
    model.compile(
        optimizer=adam(1e-2),
        loss={"kind": "sparse_categorical_crossentropy", "size": "mse"},
        loss_weights={"kind": 1.0, "size": weight},
        metrics={"kind": ["accuracy"], "size": ["mae"]},
    )
    return model


def l2_and_l1(l2, l1):
    regularised = layers.Dense(
        8,
        activation="tanh",
        kernel_regularizer=keras.regularizers.L2(l2),
        activity_regularizer=keras.regularizers.L1(l1),
    )
    return compiled(stack(regularised), adam(1e-2))


def own_loss(factor):
    def loss(y, predicted):
        return ops.mean(ops.square(y - predicted), axis=-1) + factor * ops.mean(ops.abs(predicted), axis=-1)

    return compiled(stack(layers.Dense(8, "tanh"), layers.Dense(2), classes=0), adam(1e-2), loss)


def own_loss_class(delta):
    model = stack(layers.Dense(8, "tanh"), layers.Dense(2), classes=0)
    return compiled(model, adam(1e-2), keras.losses.Huber(delta))


def weighted(learning_rate):
    return compiled(mlp(), adam(learning_rate), metrics=["accuracy"], weighted_metrics=["accuracy"])


def many_metrics(learning_rate):
    metrics = [
        keras.metrics.AUC(num_thresholds=50),
        keras.metrics.Precision(),
        keras.metrics.Recall(thresholds=[0.3, 0.7]),
        keras.metrics.F1Score(threshold=0.5),
        "mae",
    ]
    model = stack(layers.Dense(8, activation="tanh"), layers.Dense(1, activation="sigmoid"), classes=0)
    return compiled(model, adam(learning_rate), "binary_crossentropy", metrics=metrics)


def top_k(learning_rate):
    metrics = [keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top"), "accuracy"]
    return compiled(mlp(), adam(learning_rate), metrics=metrics)


def smoothed(smoothing):
    model = stack(layers.Dense(8, activation="tanh"))
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
    return compiled(model, adam(1e-2), loss, metrics=["accuracy"])


# --- optimizers -------------------------------------------------------------------------------------------


def schedule(decay_steps):
    return compiled(mlp(), adam(keras.optimizers.schedules.CosineDecay(1e-2, decay_steps)))


def piecewise(boundary):
    rates = keras.optimizers.schedules.PiecewiseConstantDecay([boundary, 20], [1e-2, 1e-3, 1e-4])
    return compiled(mlp(), keras.optimizers.SGD(rates))


def adamw(weight_decay):
    optimizer = keras.optimizers.AdamW(1e-2, weight_decay=weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return compiled(mlp(), optimizer)


def averaged(ema_momentum):
    optimizer = keras.optimizers.SGD(
        0.05, momentum=0.9, use_ema=True, ema_momentum=ema_momentum, ema_overwrite_frequency=None
    )
    return compiled(mlp(), optimizer)


def averaged_often(ema_overwrite_frequency):
    optimizer = keras.optimizers.SGD(0.05, use_ema=True, ema_overwrite_frequency=ema_overwrite_frequency)
    return compiled(mlp(), optimizer)


def clipped(clip, limit):
    return compiled(mlp(), keras.optimizers.Adam(1e-2, **{clip: limit}))


def betas(beta_1, beta_2):
    return compiled(mlp(), keras.optimizers.Adam(1e-2, beta_1=beta_1, beta_2=beta_2))


def momentum(momentum, nesterov):
    return compiled(mlp(), keras.optimizers.SGD(0.05, momentum=momentum, nesterov=nesterov))


def by_name(optimizer, learning_rate):
    made = keras.optimizers.get({"class_name": optimizer, "config": {"learning_rate": learning_rate}})
    return compiled(mlp(), made)


def accumulated(learning_rate):
    optimizer = keras.optimizers.Adam(learning_rate, gradient_accumulation_steps=3)
    return compiled(mlp(), optimizer)


def loss_scaled(learning_rate):
    optimizer = keras.optimizers.LossScaleOptimizer(adam(learning_rate), initial_scale=64.0)
    return compiled(mlp(), optimizer)


def mixed(policy, learning_rate):
    model = stack(layers.Dense(8, activation="tanh", dtype=policy))
    return compiled(model, adam(learning_rate))


def policy_of_the_session(learning_rate):
    keras.config.set_dtype_policy("mixed_float16")  # which makes `compile` scale the loss
    model = compiled(stack(layers.Dense(8, activation="tanh")), adam(learning_rate))
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    return model


def without_jit(learning_rate):
    # Keras runs it operation by operation, which rounds otherwise; Adam makes much of a gradient near zero.
    optimizer = keras.optimizers.SGD(learning_rate, momentum=0.9)
    return compiled(mlp(), optimizer, jit_compile=False)


def several_at_once(learning_rate):
    return compiled(mlp(), adam(learning_rate), steps_per_execution=4)


def not_decayed(weight_decay):
    model = mlp()
    optimizer = keras.optimizers.AdamW(1e-2, weight_decay=weight_decay)
    optimizer.exclude_from_weight_decay(var_list=model.trainable_variables[:1])
    return compiled(model, optimizer)


# --- models of one's own ------------------------------------------------------------------------------------


class Residual(keras.Model):
    def __init__(self, rate):
        super().__init__()
        self.first = layers.Dense(6, activation="tanh")
        self.dropout = layers.Dropout(rate)
        self.last = layers.Dense(3, activation="softmax")

    def call(self, x, training=False):
        return self.last(x + self.dropout(self.first(x), training=training))


def subclassed(rate):
    return compiled(Residual(rate), adam(1e-2))


class OwnStep(keras.Model):
    """A JAX ``train_step`` that logs what it likes, under names of its own."""

    def train_step(self, state, data):
        trainable, non_trainable, optimizer, metrics = state
        x, y = data

        def loss_of(trainable, non_trainable):
            predicted, non_trainable = self.stateless_call(trainable, non_trainable, x, training=True)
            return ops.mean(ops.square(predicted - y)), non_trainable

        import jax

        gradient = jax.value_and_grad(loss_of, has_aux=True)
        (loss, non_trainable), gradients = gradient(trainable, non_trainable)
        size = ops.sqrt(sum(ops.sum(ops.square(g)) for g in gradients))
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, gradients, trainable)
        return {"loss": loss, "gradient": size}, (trainable, non_trainable, optimizer, metrics)


def own_train_step(learning_rate, rate):
    inputs = keras.Input((6,))
    hidden = layers.Dropout(rate)(layers.Dense(8, activation="tanh")(inputs))
    return compiled(OwnStep(inputs, layers.Dense(2)(hidden)), adam(learning_rate), "mse")


class Penalised(layers.Layer):
    """Adds a loss, counts calls, and draws from a seed generator of its own."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor
        self.seed_generator = keras.random.SeedGenerator()

    def build(self, shape):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x, training=False):
        self.add_loss(self.factor * ops.mean(ops.square(x)))
        if training:
            self.calls.assign_add(1.0)
            x = x + 0.1 * keras.random.normal(ops.shape(x), seed=self.seed_generator)
        return x


def penalised(factor):
    return compiled(stack(layers.Dense(8, activation="tanh"), Penalised(factor)), adam(1e-2))


class OwnOptimizer(keras.optimizers.SGD):
    def __init__(self, learning_rate, power):
        super().__init__(learning_rate)
        self.power = power

    def update_step(self, gradient, variable, learning_rate):
        step = ops.sign(gradient) * ops.abs(gradient) ** self.power
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * step)


class Opaque(layers.Layer):
    """Holds what can't be hashed, compared or looked into, and reads all of it while it is traced."""

    def __init__(self, factor):
        super().__init__()
        self.table = [{"factor": factor}, bytearray(b"ab"), {frozenset({1}): {2}}]
        self.generator = np.random.default_rng(0)
        self.unlike = _Unlike()

    def call(self, x):
        return x * self.table[0]["factor"] * len(self.table[1])


class _Unlike:
    """Answers a comparison with an array, and has no hash."""

    __hash__ = None

    def __eq__(self, other):
        return np.ones(3)


def opaque(factor):
    return compiled(stack(layers.Dense(8, activation="tanh"), Opaque(factor)), adam(1e-2))


def made_by_the_builder(factor):
    class Scaled(layers.Dense):
        def call(self, x):
            return factor * super().call(x)

    return compiled(stack(Scaled(8, activation="tanh")), adam(1e-2))


def counted_names(extra):
    for _ in range(extra):
        keras.metrics.AUC()
    model = stack(layers.Dense(8, activation="tanh"), layers.Dense(1, "sigmoid"), classes=0)
    metrics = [keras.metrics.AUC(num_thresholds=20)]
    return compiled(model, adam(1e-2), "binary_crossentropy", metrics=metrics)


def annealed(beta):
    """A variable that is no part of the model is a constant of its training step."""
    weight = keras.Variable(beta)

    def loss(y, predicted):
        return ops.mean(ops.square(y - predicted), axis=-1) + weight * ops.mean(ops.abs(predicted))

    return compiled(stack(layers.Dense(8, "tanh"), layers.Dense(2), classes=0), adam(1e-2), loss)


def own_optimizer(power):
    return compiled(mlp(), OwnOptimizer(0.05, power))


# --- the table ----------------------------------------------------------------------------------------------

_NO_SPLIT = {"validation_split": 0.0}
"""Of optimizers, which validation knows nothing of."""
_ONE_HOT = np.eye(3, dtype="float32")[CLASSES]

CASES = [
    Case("dense", dense, _RATES),
    Case("dense, smaller last batches", dense, _RATES, fit={"batch_size": 20}),
    Case("batch normalization", batch_normalization, {**_RATES, "momentum": [0.9]}),
    Case(
        "batch normalization, momentum",
        batch_normalization,
        {"learning_rate": [1e-2], "momentum": [0.9, 0.99]},
    ),
    Case("dropout, rate", dropout, {"rate": [0.1, 0.5]}),
    Case("dropout, one rate is 0", dropout, {"rate": [0.0, 0.5]}, fleets=2),
    Case("other dropouts", dropouts_of_all_kinds, {"rate": [0.1, 0.4]}, x=SERIES, fleets=2),
    Case("gaussian noise", gaussian_noise, {"stddev": [0.1, 0.5]}),
    Case("layer normalization", layer_normalization, {"epsilon": [1e-3, 1e-1]}),
    Case("convolution", convolution, _RATES, x=IMAGES),
    Case("lstm", lstm, _RATES, x=SERIES),
    Case("gru with masking", masked_gru, _RATES, x=PADDED),
    Case("stateful rnn", stateful_rnn, _RATES, x=SERIES, fit={"shuffle": False}),
    Case("bidirectional, units", bidirectional, {"units": [3, 5]}, x=SERIES),
    Case("attention", attention, {**_RATES, "rate": [0.1]}, x=TOKENS),
    Case("attention, dropout", attention, {"learning_rate": [1e-2], "rate": [0.1, 0.3]}, x=TOKENS),
    Case("autoencoder, units", autoencoder, {"units": [2, 3]}, y=VECTORS),
    Case("activation", activation, {"name": ["tanh", "softplus"]}, fleets=2),
    Case("lambda layer", lambda_layer, {"factor": [0.5, 1.5]}),
    Case("shared layer", shared_layer, _RATES, x=[VECTORS[:, :3], VECTORS[:, 3:]]),
    Case("nested models", nested_models, {**_RATES, "rate": [0.2, 0.3]}),
    Case("frozen", frozen, _RATES),
    Case("not built before fit", not_built, {"units": [4, 8]}),
    Case("augmentation", augmentation, {"factor": [0.1, 0.3]}, x=IMAGES, fleets=2),
    Case("spectral normalization", spectral, _RATES),
    Case("constraint", constrained, {"limit": [0.5, 1.0]}, fleets=2),
    Case(
        "two inputs, two outputs",
        two_and_two,
        {"weight": [0.5, 2.0]},
        x={"left": VECTORS, "right": SERIES},
        y={"kind": CLASSES, "size": TARGETS},
    ),
    Case("regularizers", l2_and_l1, {"l2": [1e-3, 1e-2], "l1": [1e-3, 1e-2]}),
    Case("own loss", own_loss, {"factor": [0.1, 0.5]}, y=TARGETS),
    Case("huber", own_loss_class, {"delta": [0.2, 0.5]}, y=TARGETS),
    Case("sample weight", weighted, _RATES, fit={"sample_weight": WEIGHTS}),
    Case("class weight", weighted, _RATES, fit={"class_weight": {0: 1.0, 1: 2.0, 2: 0.5}}),
    Case("metrics", many_metrics, _RATES, y=BINARY),
    Case("top k", top_k, _RATES),
    Case("label smoothing", smoothed, {"smoothing": [0.1, 0.2]}, y=_ONE_HOT),
    Case("schedule", schedule, {"decay_steps": [20, 40]}, fit=_NO_SPLIT),
    Case("piecewise schedule", piecewise, {"boundary": [5, 10]}, fit=_NO_SPLIT),
    Case("weight decay", adamw, {"weight_decay": [1e-3, 1e-1]}, fit=_NO_SPLIT),
    Case("weight decay of some", not_decayed, {"weight_decay": [1e-3, 1e-1]}, fit=_NO_SPLIT),
    Case("moving average", averaged, {"ema_momentum": [0.9, 0.5]}),
    Case("moving average, written back", averaged_often, {"ema_overwrite_frequency": [5, 7]}),
    Case("clipnorm", clipped, {"clip": ["clipnorm"], "limit": [0.05, 0.5]}, fit=_NO_SPLIT),
    Case("global clipnorm", clipped, {"clip": ["global_clipnorm"], "limit": [0.05, 0.5]}, fit=_NO_SPLIT),
    Case("clipvalue", clipped, {"clip": ["clipvalue"], "limit": [0.01, 0.1]}, fleets=2, fit=_NO_SPLIT),
    Case("betas", betas, {"beta_1": [0.8, 0.9], "beta_2": [0.99, 0.999]}, fit=_NO_SPLIT),
    Case("momentum", momentum, {"momentum": [0.5, 0.9], "nesterov": [False]}, fit=_NO_SPLIT),
    Case("nesterov", momentum, {"momentum": [0.9], "nesterov": [False, True]}, fleets=2, fit=_NO_SPLIT),
    Case(
        "optimizers",
        by_name,
        {
            "optimizer": ["RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Ftrl", "Lion"],
            "learning_rate": [1e-2],
        },
        fit=_NO_SPLIT,
        fleets=7,
        slow=True,
    ),
    Case("gradient accumulation", accumulated, _RATES, fit=_NO_SPLIT),
    Case("loss scale optimizer", loss_scaled, _RATES),
    Case(
        "mixed bfloat16",
        mixed,
        {"policy": ["mixed_bfloat16"], **_RATES},
        rtol=2e-2,
        weights=2e-2,
        why="bfloat16 has 8 bits, and XLA keeps more of them where it fuses",
    ),
    Case(
        "mixed float16",
        mixed,
        {"policy": ["mixed_float16"], **_RATES},
        rtol=2e-3,
        weights=2e-3,
        why="float16 has 11 bits, and XLA keeps more of them where it fuses",
    ),
    Case(
        "mixed float16 by the session's policy",
        policy_of_the_session,
        _RATES,
        rtol=2e-3,
        weights=2e-3,
        why="float16 has 11 bits, and XLA keeps more of them where it fuses",
    ),
    Case("not compiled", without_jit, _RATES),
    Case("several steps per execution", several_at_once, _RATES),
    Case("subclassed", subclassed, {"rate": [0.1, 0.3]}),
    Case("own train_step", own_train_step, {**_RATES, "rate": [0.2]}, y=TARGETS),
    Case("added loss, seed generator", penalised, {"factor": [0.1, 0.5]}),
    Case("own optimizer", own_optimizer, {"power": [0.5, 1.5]}),
    Case("opaque state", opaque, {"factor": [0.4, 0.6]}),
    Case("class made by the builder", made_by_the_builder, {"factor": [0.5, 1.5]}),
    Case("counted names of metrics", counted_names, {"extra": [0, 2]}, y=BINARY, fleets=2),
    Case("variable outside of the model", annealed, {"beta": [0.1, 0.5]}, y=TARGETS),
    Case("batch size", dense, {"learning_rate": [1e-2], "batch_size": [16, 32]}, fit={}, fleets=2),
    Case("epochs", dense, {"learning_rate": [1e-2], "epochs": [3, 5]}, fit={}),
]


@pytest.fixture(autouse=True)
def policy_of_before():
    """Keras alone leaves behind the policy that a builder sets."""
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


AS_SHIPPED = {
    "dense, smaller last batches",
    "batch normalization",
    "dropout, rate",
    "layer normalization",
    "convolution",
    "lstm",
    "attention",
    "clipnorm",
    "loss scale optimizer",
    "mixed bfloat16",
    "mixed float16",
    "several steps per execution",
}
"""Cases that XLA compiles to different code, a few of each; the others differ in what Python does."""

assert {case.name for case in CASES} >= AS_SHIPPED


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=c.name, marks=[pytest.mark.slow] * c.slow) for c in CASES]
)
def test_lanes_equal_keras_alone(case, request):
    if case.name in AS_SHIPPED:
        request.getfixturevalue("shipped_compiler")
    arguments = {**_FIT, **case.fit}
    arguments = {k: v for k, v in arguments.items() if k not in case.grid}
    study = fl.compare(case.build, case.grid, case.x, case.y, seeds=2, engine="lanes", verbose=0, **arguments)
    assert study.trials["error"].tolist() == [""] * len(study.trials)
    for row in study.trials.to_dict("records"):
        if case is not CASES[0] and (row["trial"] // 2 + row["seed"]) % 2 == 0:
            continue  # the others have its variant with the other seed, and its seed with another variant
        given = {name: row[name] for name in case.grid}
        varied = {name: given.pop(name) for name in ("batch_size", "epochs") if name in case.grid}
        alone = keras_alone(case.build, given, row["seed"], case.x, case.y, **arguments, **varied)
        what = f"{given} {varied} seed {row['seed']}"
        assert_logs_agree(history_of(study, row["trial"]), alone.logs, case.rtol, what=what)
        trained = variables(study.model(row["trial"]))
        assert_variables_agree(trained, alone.variables, atol=case.weights, what=what)
    assert study.trials["fleet"].nunique() == case.fleets


# --- beside others ------------------------------------------------------------------------------------------


def histories(study):
    """Hyperparameters and seed → logs."""
    return {
        (row["learning_rate"], row["rate"], row["seed"]): history_of(study, row["trial"])
        for row in study.trials.to_dict("records")
        if row["state"] == "done"
    }


def crowd(learning_rate, rate):
    if rate > 1:
        raise ValueError("no such rate")
    return compiled(stack(layers.Dense(8, "tanh"), layers.Dropout(rate)), adam(learning_rate))


def test_neighbours_do_not_matter():
    """Reversed, alone, beside a trial that fails, and in another order of seeds: the same numbers."""
    variants = [{"learning_rate": a, "rate": b} for a in (1e-2, 1e-3) for b in (0.1, 0.5)]

    def run(variants, seeds, **more):
        return fl.compare(
            crowd, variants, VECTORS, CLASSES, seeds=seeds, engine="lanes", verbose=0, **_FIT, **more
        )

    all_of_them = histories(run(variants, 2))
    others = [
        run(variants[::-1], [1, 0]),
        run(variants[2:3], [1]),
        run([variants[0], {"learning_rate": 1e-2, "rate": 2.0}, variants[3]], 2),
    ]
    assert others[2].trials["state"].tolist() == ["done"] * 2 + ["failed"] * 2 + ["done"] * 2
    for other in others:
        for trial, logs in histories(other).items():
            assert_logs_agree(logs, all_of_them[trial], what=str(trial))


# --- what lanes leave to the reference engine ---------------------------------------------------------------


def not_for_jit(factor):
    inside = (layers.RandomTranslation(factor, factor, fill_mode="constant"), layers.Flatten())
    return compiled(stack(*inside, shape=(8, 8, 1)), adam(1e-2))


def eager(learning_rate):
    return compiled(mlp(), adam(learning_rate), run_eagerly=True)


@pytest.mark.parametrize(
    ("build", "value", "x", "y", "reason"),
    [
        (not_for_jit, 0.1, IMAGES, CLASSES, "supports_jit"),
        (eager, 1e-2, VECTORS, CLASSES, "run_eagerly"),
    ],
)
def test_left_to_the_reference_engine(build, value, x, y, reason):
    name = next(iter(inspect.signature(build).parameters))
    arguments = {**_FIT, "epochs": 2}
    study = fl.compare(build, {name: [value]}, x, y, verbose=0, on_error="raise", **arguments)
    assert study.trials["engine"].tolist() == ["reference"]
    assert reason in study.trials["reason"][0]
    alone = keras_alone(build, {name: value}, 0, x, y, **arguments)
    assert_logs_agree(history_of(study, 0), alone.logs, rtol=0)
    with pytest.raises(fl.LanesError, match=reason):
        fl.compare(build, {name: [value]}, x, y, engine="lanes", verbose=0, **arguments)


def unseeded(learning_rate):
    noise = layers.Lambda(lambda t: t + keras.random.normal(ops.shape(t)))
    return compiled(stack(noise, layers.Dense(4)), adam(learning_rate))


@pytest.mark.filterwarnings("ignore:nothing was trained")
def test_what_keras_refuses_fails_as_with_keras_alone():
    with pytest.raises(ValueError, match="only use seeded random ops"):
        keras_alone(unseeded, {"learning_rate": 1e-2}, 0, VECTORS, CLASSES, **_FIT)
    study = fl.compare(unseeded, {"learning_rate": [1e-2]}, VECTORS, CLASSES, verbose=0, **_FIT)
    (row,) = study.trials.to_dict("records")
    assert row["state"] == "failed"
    assert "seeded random ops" in row["error"]
