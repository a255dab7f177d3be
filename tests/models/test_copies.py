"""``fairlane.copy`` and ``fairlane.fresh``, held to the original itself and to models built by hand."""

import gc
import random
import re
import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

import fairlane as fl
from fairlane import FairlaneWarning

RNG = np.random.default_rng(5)
X = RNG.normal(size=(48, 6)).astype("float32")
Y = (X[:, 0] > 0).astype("int32")
T = RNG.normal(size=(48, 2)).astype("float32")
TOKENS = RNG.integers(1, 11, size=(48, 5)).astype("int32")
IMAGES = RNG.normal(size=(48, 8, 8, 2)).astype("float32")


def classifier(*inner: Any, optimizer: Any = "adam", **compiled: Any) -> keras.Model:
    model = keras.Sequential([keras.Input((6,)), *inner, layers.Dense(2, "softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy", **{"metrics": ["accuracy"], **compiled})
    return model


def dense() -> keras.Model:
    return classifier(layers.Dense(8, "relu"), optimizer=keras.optimizers.Adam(0.01))


def dropout() -> keras.Model:
    return classifier(layers.Dense(8, "tanh"), layers.Dropout(0.4), layers.GaussianNoise(0.1, seed=3))


def normalised() -> keras.Model:
    return classifier(layers.Dense(8), layers.BatchNormalization(), optimizer=keras.optimizers.SGD(0.1, 0.9))


def frozen() -> keras.Model:
    body = layers.Dense(8, "relu", trainable=False)
    return classifier(body, layers.Dense(4, "relu"), optimizer="rmsprop")


def frozen_after_training() -> keras.Model:
    model = classifier(layers.Dense(8, "relu"), layers.Dense(4, "relu"))
    model.fit(X, Y, epochs=1, verbose=0)
    model.layers[0].trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def adapted() -> keras.Model:
    norm = layers.Normalization()
    norm.adapt(X * 3 + 1)
    return classifier(norm, layers.Dense(4))


def objects() -> keras.Model:
    return classifier(
        layers.Dense(8, kernel_regularizer=keras.regularizers.L2(0.02), kernel_initializer="he_normal"),
        optimizer=keras.optimizers.AdamW(
            keras.optimizers.schedules.ExponentialDecay(0.05, 3, 0.7), weight_decay=0.01, clipnorm=0.5
        ),
        metrics=[keras.metrics.SparseCategoricalCrossentropy(name="xe"), "accuracy"],
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy()],
    )


def averaged() -> keras.Model:
    return classifier(optimizer=keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9))


def mixed() -> keras.Model:
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, dtype="mixed_float16"), layers.Dense(2, dtype="float32")]
    )
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)), "mse")
    return model


def own_loss() -> keras.Model:
    def loss(y: Any, predicted: Any) -> Any:
        return ops.mean(ops.abs(y - predicted), axis=-1)

    model = keras.Sequential([keras.Input((6,)), layers.Dense(2)])
    model.compile("sgd", loss, metrics=[loss, "mae"])
    return model


def several() -> keras.Model:
    """Two inputs and outputs, a layer used twice, metrics and losses in dicts."""
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    shared = layers.Dense(5, "tanh", name="shared")
    both = layers.Concatenate()([shared(a), shared(b)])
    one = layers.Dense(2, name="one")(both)
    two = layers.Dense(2, "softmax", name="two")(both + 1.0)
    model = keras.Model({"a": a, "b": b}, {"one": one, "two": two})
    model.compile(
        keras.optimizers.RMSprop(0.01),
        {"one": "mse", "two": keras.losses.SparseCategoricalCrossentropy()},
        loss_weights={"one": 0.3, "two": 1.0},
        metrics={"one": ["mae"], "two": [keras.metrics.SparseCategoricalAccuracy()]},
    )
    return model


def nested() -> keras.Model:
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(4, "relu"), layers.Dropout(0.2)], name="inner")
    x = keras.Input((6,))
    model = keras.Model(x, layers.Dense(2)(inner(x) * 2.0))
    model.compile("adam", "mse")
    return model


def convolutional() -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.RandomFlip(seed=1),
            layers.Conv2D(3, 3, activation="relu"),
            layers.SpatialDropout2D(0.2),
            layers.Flatten(),
            layers.Dense(2, "softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def recurrent() -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Embedding(12, 4, mask_zero=True),
            layers.GRU(5, dropout=0.2, recurrent_dropout=0.1),
            layers.Dense(2, "softmax"),
        ]
    )
    model.compile("nadam", "sparse_categorical_crossentropy")
    return model


@keras.saving.register_keras_serializable("test_copies")
class Block(layers.Layer):
    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.inner = layers.Dense(units, "relu")
        self.drop = layers.Dropout(0.3)

    def build(self, shape: Any) -> None:
        self.inner.build(shape)
        self.scale = self.add_weight(shape=(self.units,), initializer="ones", name="scale")

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.inner(x) * self.scale
        self.add_loss(0.01 * ops.mean(x))
        return self.drop(x, training=training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("test_copies")
class Subclassed(keras.Model):
    def __init__(self, units: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.block = Block(units)
        self.out = layers.Dense(2)
        self.tracker = keras.metrics.Mean(name="own")

    def call(self, x: Any, training: bool = False) -> Any:
        return self.out(self.block(x, training=training))

    def train_step(self, state: Any, data: Any) -> Any:
        logs, new = super().train_step(state, data)
        return logs, new

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def subclassed() -> keras.Model:
    model = Subclassed(5)
    model.compile("adam", "mse", metrics=["mae"])
    return model


def custom_layers() -> keras.Model:
    return classifier(Block(6), Block(3))


DATA: dict[Callable[[], keras.Model], tuple[Any, Any]] = {
    dense: (X, Y),
    dropout: (X, Y),
    normalised: (X, Y),
    frozen: (X, Y),
    frozen_after_training: (X, Y),
    adapted: (X, Y),
    objects: (X, Y),
    averaged: (X, Y),
    mixed: (X, T),
    own_loss: (X, T),
    several: ({"a": X, "b": X[::-1].copy()}, {"one": T, "two": Y}),
    nested: (X, T),
    convolutional: (IMAGES, Y),
    recurrent: (TOKENS, Y),
    subclassed: (X, T),
    custom_layers: (X, Y),
}
every_model = pytest.mark.parametrize("build", DATA, ids=lambda build: build.__name__)


def batches(x: Any, y: Any, size: int) -> Any:
    for start in range(0, 48, size):
        yield keras.tree.map_structure(lambda a: a[start : start + size], (x, y))  # noqa: B023


def train(model: keras.Model, x: Any, y: Any, size: int = 16) -> list[Any]:
    """Logs batch by batch, metrics never reset: their state is part of what is compared."""
    return [model.train_on_batch(*batch, return_dict=True) for batch in batches(x, y, size)]


def values(model: keras.Model) -> list[Any]:
    found = [*model.variables, *model.metrics_variables]
    if getattr(model, "optimizer", None) is not None:
        found += model.optimizer.variables
    return [np.array(keras.ops.convert_to_numpy(v)) for v in found]


def assert_same(a: Any, b: Any) -> None:
    for one, other in zip(keras.tree.flatten(a), keras.tree.flatten(b), strict=True):
        np.testing.assert_array_equal(one, other)


def trained(build: Callable[[], keras.Model]) -> keras.Model:
    keras.utils.set_random_seed(11)
    model = build()
    train(model, *DATA[build])
    return model


# --- copy -------------------------------------------------------------------------------------------


@every_model
def test_a_copy_goes_on_as_the_original_does(build: Any) -> None:
    model = trained(build)
    copied = fl.copy(model)
    assert fl.shared_state(model, copied) == []
    assert type(copied) is type(model)
    # A number comes after it where some model of that name was copied before, in another test.
    assert re.fullmatch(rf"{model.name}_copy(_\d+)?", copied.name)
    assert_same(values(copied), values(model))
    assert_same(train(copied, *DATA[build]), train(model, *DATA[build]))
    assert_same(values(copied), values(model))


@every_model
def test_neither_sees_the_others_training(build: Any) -> None:
    model = trained(build)
    copied = fl.copy(model)
    before = values(model)
    train(copied, *DATA[build])
    copied.fit(*DATA[build], epochs=1, verbose=0)
    assert_same(values(model), before)
    before = values(copied)
    train(model, *DATA[build])
    assert_same(values(copied), before)
    assert not np.array_equal(np.concatenate([v.ravel() for v in before]), 0)


def test_copies_of_untrained_and_uncompiled_models() -> None:
    model = dropout()
    copied = fl.copy(model)
    assert_same(copied.get_weights(), model.get_weights())
    assert_same(train(copied, X, Y), train(model, X, Y))
    bare = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    again = fl.copy(bare)
    assert not again.compiled
    assert_same(again.predict(X, verbose=0), bare.predict(X, verbose=0))
    unbuilt = fl.copy(keras.Sequential([layers.Dense(3)]))
    assert not unbuilt.built


def test_a_layer_used_twice_is_one_layer_in_the_copy() -> None:
    copied = fl.copy(several())
    assert len(copied.get_layer("shared")._inbound_nodes) == 2
    assert sum("shared" in v.path for v in copied.trainable_variables) == 2


def test_a_reduced_learning_rate_is_copied() -> None:
    model = trained(dense)
    model.optimizer.learning_rate = 1e-4
    assert float(fl.copy(model).optimizer.learning_rate) == pytest.approx(1e-4)


def test_a_model_with_several_optimizers() -> None:
    model = Gan()
    model.compile()
    model.fit(X, epochs=1, verbose=0)
    copied = fl.copy(model)
    assert int(copied.d_optimizer.iterations) == 2
    before = [keras.ops.convert_to_numpy(v) for v in copied.d_optimizer.variables]
    assert_same(before, [keras.ops.convert_to_numpy(v) for v in model.d_optimizer.variables])
    model.fit(X, epochs=1, verbose=0)
    assert_same(before, [keras.ops.convert_to_numpy(v) for v in copied.d_optimizer.variables])


@keras.saving.register_keras_serializable("test_copies")
class Gan(keras.Model):
    """Two networks, an optimizer each, and a training step of its own."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.generator = keras.Sequential([keras.Input((2,)), layers.Dense(6)])
        self.discriminator = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
        self.seeds = keras.random.SeedGenerator(4)
        self.built = True

    def compile(self, rate: float = 0.1) -> None:
        super().compile(optimizer=keras.optimizers.SGD(rate))
        self.rate = rate
        self.d_optimizer = keras.optimizers.Adam(rate)
        self.d_optimizer.build(self.discriminator.trainable_variables)

    def get_compile_config(self) -> dict[str, Any]:
        return {"rate": self.rate}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**config)

    def train_step(self, state: Any, data: Any) -> Any:
        raise NotImplementedError

    def fit(self, x: Any, epochs: int, verbose: Any) -> None:  # type: ignore[override]
        """Two steps of the discriminator's optimizer are all that the test needs."""
        for _ in range(2):
            variables = self.discriminator.trainable_variables
            self.d_optimizer.apply([np.ones(v.shape, "float32") for v in variables], variables)


def test_the_session_is_left_as_found() -> None:
    keras.utils.set_random_seed(3)
    expected = [random.random(), np.random.rand(), float(keras.random.normal(())), keras.layers.Dense(1).name]  # noqa: NPY002
    model = dropout()
    for make in (fl.copy, lambda m: fl.fresh(m, seed=9)):
        keras.backend.clear_session()
        keras.utils.set_random_seed(3)
        make(model)
        found = [random.random(), np.random.rand(), float(keras.random.normal(())), layers.Dense(1).name]  # noqa: NPY002
        assert found[:3] == expected[:3]
        assert found[3] == "dense"


def test_nothing_keeps_the_original_alive() -> None:
    model = dropout()
    copied, fresh = fl.copy(model), fl.fresh(model)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
    train(copied, X, Y)
    train(fresh, X, Y)


class NoConfig(keras.Model):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.dense = layers.Dense(units)

    def call(self, x: Any) -> Any:
        return self.dense(x)


def test_the_class_that_is_in_the_way_is_named() -> None:
    model = NoConfig(3)
    model.compile("sgd", "mse")
    for make in (fl.copy, fl.fresh):
        with pytest.raises(fl.BuilderError, match=r"NoConfig.*(\n.*)*get_config"):
            make(model)
    with pytest.raises(fl.BuilderError, match=r"fairlane\.copy takes a keras\.Model, not str"):
        fl.copy("model")


class LateMetric(keras.Model):
    """Makes a variable when it is called for the first time, which a copy is not."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.out = layers.Dense(2)

    def call(self, x: Any) -> Any:
        return self.out(x)


def test_a_model_that_data_has_built() -> None:
    model = LateMetric()
    model.compile("adam", "mse")
    train(model, X, T)
    copied = fl.copy(model)
    assert_same(train(copied, X, T), train(model, X, T))


# --- fresh ------------------------------------------------------------------------------------------


@every_model
def test_fresh_models_are_as_if_built_again(build: Any) -> None:
    keras.utils.set_random_seed(11)
    model = build()
    model.fit(*DATA[build], epochs=2, verbose=0)
    before = values(model)
    a, b = fl.fresh(model), fl.fresh(model)
    assert_same(values(model), before)
    assert fl.shared_state(model, a, b) == []
    kernels = [
        [keras.ops.convert_to_numpy(v) for v in m.trainable_variables if "kernel" in v.path]
        for m in (model, a, b)
    ]
    for other in (kernels[0], kernels[2]):
        assert not any(np.array_equal(one, two) for one, two in zip(kernels[1], other, strict=True))
    assert int(a.optimizer.iterations) == 0
    first = [float(next(iter(train(m, *DATA[build])))["loss"]) for m in (a, b)]
    assert np.isfinite(first).all()


def test_a_seed_gives_what_a_builder_gives_after_set_random_seed() -> None:
    keras.utils.set_random_seed(7)
    expected = dense().get_weights()
    keras.utils.set_random_seed(1)
    assert_same(fl.fresh(dense(), seed=7).get_weights(), expected)


def test_integer_seeds_are_drawn_anew() -> None:
    def build() -> keras.Model:
        initializer = keras.initializers.GlorotUniform(seed=3)
        return classifier(layers.Dense(4, kernel_initializer=initializer), layers.Dropout(0.5, seed=3))

    model = build()
    assert_same(model.get_weights()[0], build().get_weights()[0])  # the leak: these are no replicates
    a, b = fl.fresh(model, seed=0), fl.fresh(model, seed=1)
    assert not np.array_equal(a.get_weights()[0], b.get_weights()[0])
    states = [keras.ops.convert_to_numpy(m.layers[1].seed_generator.state) for m in (model, a, b)]
    assert len({tuple(state) for state in states}) == 3


def test_adapted_layers_keep_what_they_adapted() -> None:
    model = adapted()
    norm = fl.fresh(model).layers[0]
    assert_same(norm(X), model.layers[0](X))


def reduced(epochs: int = 6, **more: Any) -> keras.Model:
    model = classifier(optimizer=keras.optimizers.SGD(0.05))
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=1, min_delta=10.0)
    model.fit(X, Y, epochs=epochs, callbacks=[plateau], verbose=0, **more)
    assert float(model.optimizer.learning_rate) < 0.05
    return model


def test_the_first_learning_rate_is_restored() -> None:
    assert float(fl.fresh(reduced()).optimizer.learning_rate) == pytest.approx(0.05)


def test_a_learning_rate_that_was_never_touched_needs_no_word() -> None:
    model = dense()
    model.optimizer.learning_rate = 0.3
    assert float(fl.fresh(model).optimizer.learning_rate) == pytest.approx(0.3)
    model.fit(X, Y, epochs=2, verbose=0)
    assert float(fl.fresh(model).optimizer.learning_rate) == pytest.approx(0.3)


def test_a_learning_rate_that_can_t_be_known_gets_a_word() -> None:
    model = reduced()
    model.fit(X, Y, epochs=1, verbose=0)  # the history of the first fit is gone
    with pytest.warns(
        FairlaneWarning,
        match=r"takes .* as the learning rate of model .* a callback may have changed the rate",
    ) as found:
        rate = float(fl.fresh(model).optimizer.learning_rate)
    assert rate == pytest.approx(float(model.optimizer.learning_rate))
    assert [w.filename for w in found if w.category is FairlaneWarning] == [__file__]


def test_a_schedule_starts_again() -> None:
    model = trained(objects)
    assert float(fl.fresh(model).optimizer.learning_rate) == pytest.approx(0.05)


def test_a_study_s_model_has_its_first_learning_rate() -> None:
    def build(rate: float) -> keras.Model:
        return classifier(optimizer=keras.optimizers.SGD(rate))

    def callbacks() -> list[Any]:
        return [keras.callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=1, min_delta=10.0)]

    study = fl.compare(build, {"rate": [0.05]}, X, Y, epochs=5, callbacks=callbacks, verbose=0)
    model = study.model(0)
    assert float(model.optimizer.learning_rate) < 0.05
    assert float(fl.fresh(model).optimizer.learning_rate) == pytest.approx(0.05)
