"""When may two models share a program? Keys are compared in both directions: equal, and different."""

from __future__ import annotations

import dataclasses
import functools

import jax
import keras
import numpy as np
import pytest
from keras import layers, ops

from fairlane.engines.program.structure import structure
from fairlane.kit.values import same_bits
from fairlane.models.session import Session, left_as_found

X = np.zeros((4, 6), "float32")
Y = np.zeros((4, 3), "float32")


def made(build, *args, seed=0, x=X, y=Y):
    """A model as a lane holds it before its first epoch."""
    with Session(seed):
        model = build(*args)
        if not model.compiled:
            model.compile("sgd", "mse")
        model.fit(x, y, epochs=0, verbose=0)
    return model


def key(build, *args, seed=0, **data):
    return structure(made(build, *args, seed=seed, **data)).key


def sequential(*inside, **compiled):
    model = keras.Sequential([keras.Input((6,)), *inside, layers.Dense(3)])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **compiled})
    return model


def functional(wire):
    inputs = keras.Input((6,))
    return keras.Model(inputs, wire(inputs))


# --- equal --------------------------------------------------------------------------------------------------


def attention():
    tokens = keras.Input((6,))
    embedded = layers.Embedding(4, 8)(tokens)
    attended = layers.MultiHeadAttention(2, 4, dropout=0.1)(embedded, embedded)
    return keras.Model(tokens, layers.Dense(3)(layers.Flatten()(attended + embedded)))


class Twice(keras.Model):
    def __init__(self):
        super().__init__()
        self.inside = [layers.Dense(3), layers.Dropout(0.1)]

    def call(self, x):
        for layer in self.inside:
            x = layer(x)
        return x


class Functional(keras.Model):
    """Keras makes a functional model of it, and does something special for the first of its class."""


def own_functional():
    inputs = keras.Input((6,))
    return Functional(inputs, layers.Dense(3)(inputs))


def local_class():
    factor = 2.0

    class Scaled(layers.Dense):
        @property
        def twice(self):
            return factor

        def call(self, x):
            return self.twice * super().call(x)

    return sequential(Scaled(4))


ALIKE = {
    "sequential": lambda: sequential(layers.Dense(4, "relu"), layers.Dropout(0.1)),
    "attention": attention,
    "subclassed": Twice,
    "own functional": own_functional,
    "class made by the builder": local_class,
    "operators": lambda: functional(lambda x: layers.Dense(3)(2.0 * x + 1.0)),
    "lambda": lambda: sequential(layers.Lambda(lambda x: x * 2)),
    "loss": lambda: sequential(loss=lambda y, p: ops.mean(y - p)),
    "metrics": lambda: sequential(metrics=["mae", keras.metrics.MeanSquaredError()]),
    "recurrent": lambda: keras.Sequential(
        [keras.Input((6, 1)), layers.Bidirectional(layers.LSTM(2, dropout=0.1)), layers.Dense(3)]
    ),
    "schedule": lambda: sequential(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 10))
    ),
    "no weight decay": lambda: sequential(optimizer=without_decay("bias")),
    "augmentation": lambda: sequential(layers.GaussianNoise(0.1, seed=1)),
    "initializer": lambda: sequential(
        layers.Dense(4, kernel_initializer=keras.initializers.RandomNormal(0.1))
    ),
}


@pytest.mark.parametrize("build", ALIKE.values(), ids=ALIKE.keys())
def test_replicates_have_one_key(build):
    assert key(build, seed=0) == key(build, seed=1)


@pytest.mark.parametrize("build", ALIKE.values(), ids=ALIKE.keys())
def test_names_that_keras_counts_up_do_not_matter(build):
    def later():
        for cls in (layers.Dense, layers.Dropout, layers.Add, keras.Model, keras.Sequential):
            for _ in range(3):
                cls(3) if cls is layers.Dense else cls(0.1) if cls is layers.Dropout else cls()
        return build()

    assert key(build) == key(later)


def without_decay(pattern):
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=[pattern])
    return optimizer


def test_reading_a_model_twice_gives_one_key():
    model = made(attention)
    assert structure(model).key == structure(model).key


def test_training_does_not_change_the_key():
    model = made(lambda: sequential(layers.Dropout(0.1)))
    before = structure(model).key
    model.fit(X, Y, epochs=2, verbose=0)
    assert structure(model).key == before


# --- different ------------------------------------------------------------------------------------------------


def two_inputs(swap=False):
    a, b = keras.Input((6,)), keras.Input((6,))
    left, right = layers.Dense(3)(a), layers.Dense(3)(b)
    return keras.Model([a, b], left - right if not swap else right - left)


def two_outputs(swap=False):
    inputs = keras.Input((6,))
    a, b = layers.Dense(3)(inputs), layers.Dense(3)(inputs)
    model = keras.Model(inputs, [b, a] if swap else [a, b])
    model.compile("sgd", ["mse", "mae"])
    return model


def two_layers(x):
    return layers.Dense(3)(layers.Dense(6)(layers.Dense(6)(x)))


def one_layer_twice(x):
    layer = layers.Dense(6)
    return layers.Dense(3)(layer(layer(x)))


def skipping(first):
    """Three equal layers, and a skip from before the first or the second."""

    def wire(x):
        a = layers.Dense(6)(x)
        b = layers.Dense(6)(a)
        c = layers.Dense(6)(b)
        return layers.Dense(3)(layers.Add()([c, x if first else a]))

    return wire


def training(value):
    return lambda x: layers.Dense(3)(layers.Dropout(0.5)(x, training=value))


def constant(shift):
    return lambda x: layers.Dense(3)(ops.add(x, shift))


def large_constant(shift):
    values = np.ones(2000, "float32")
    values[1000] = shift  # in the middle, where `repr` leaves things out
    return lambda x: layers.Dense(3)(ops.sum(ops.multiply(x[:, :1], values), axis=-1, keepdims=True))


def lambdas(second):
    if second:

        def loss(y, p):
            return ops.mean(list(map(lambda a: a * 3.0, [y - p]))[0])

    else:

        def loss(y, p):
            return ops.mean(list(map(lambda a: a * 2.0, [y - p]))[0])

    return sequential(loss=loss)


def closed_over(value):
    return sequential(loss=lambda y, p: ops.mean(y - p) if value == 1 else ops.mean(p - y))


def untracked_variable(value):
    variable = keras.Variable(value)
    return sequential(loss=lambda y, p: variable.value * ops.mean(y - p))


def untracked_generator(seed):
    generator = keras.random.SeedGenerator(seed)
    noise = layers.Lambda(lambda x: x + keras.random.normal(ops.shape(x), seed=generator))
    return sequential(noise)


def metric_names(counted):
    for _ in range(counted):
        keras.metrics.Precision()
    return sequential(metrics=[keras.metrics.Precision()])


def local_classes(factor):
    class Scaled(layers.Dense):
        if factor == 2:

            def call(self, x):
                return 2 * super().call(x)

        else:

            def call(self, x):
                return 3 * super().call(x)

    return sequential(Scaled(4))


def frozen(trainable):
    layer = layers.Dense(4)
    layer.trainable = trainable
    return sequential(layer)


@dataclasses.dataclass(slots=True)
class Slotted:
    factor: float


class Half(Slotted):
    """Has a ``__dict__``, and a slot besides."""


class Holds(layers.Layer):
    def __init__(self, held):
        super().__init__()
        self.held = held

    def call(self, x):
        return x


class FromEnum(layers.Layer):
    def __init__(self, history):
        super().__init__()
        self.history = history

    def call(self, x):
        return x * self.history


UNLIKE = {
    "inputs swapped": (lambda: two_inputs(), lambda: two_inputs(swap=True)),
    "outputs swapped": (lambda: two_outputs(), lambda: two_outputs(swap=True)),
    "shared layer": (lambda: functional(two_layers), lambda: functional(one_layer_twice)),
    "skip": (lambda: functional(skipping(True)), lambda: functional(skipping(False))),
    "training argument": (lambda: functional(training(True)), lambda: functional(training(None))),
    "constant in the graph": (lambda: functional(constant(0)), lambda: functional(constant(1))),
    "large constant in the graph": (
        lambda: functional(large_constant(0.0)),
        lambda: functional(large_constant(1.0)),
    ),
    "other operation": (
        lambda: functional(lambda x: layers.Dense(3)(x) + 1.0),
        lambda: functional(lambda x: layers.Dense(3)(x) - 1.0),
    ),
    "axis": (
        lambda: functional(lambda x: ops.softmax(layers.Dense(3)(x), axis=0)),
        lambda: functional(lambda x: ops.softmax(layers.Dense(3)(x), axis=1)),
    ),
    "units": (lambda: sequential(layers.Dense(4)), lambda: sequential(layers.Dense(5))),
    "activation": (lambda: sequential(layers.Dense(4, "relu")), lambda: sequential(layers.Dense(4, "tanh"))),
    "regularizer": (
        lambda: sequential(layers.Dense(4, kernel_regularizer="l1")),
        lambda: sequential(layers.Dense(4, kernel_regularizer="l2")),
    ),
    "no regularizer": (
        lambda: sequential(layers.Dense(4, kernel_regularizer="l2")),
        lambda: sequential(layers.Dense(4)),
    ),
    "constraint": (
        lambda: sequential(layers.Dense(4, kernel_constraint="non_neg")),
        lambda: sequential(layers.Dense(4, kernel_constraint="max_norm")),
    ),
    "trainable": (lambda: frozen(True), lambda: frozen(False)),
    "order of layers": (
        lambda: sequential(layers.Dropout(0.1), layers.GaussianNoise(0.1)),
        lambda: sequential(layers.GaussianNoise(0.1), layers.Dropout(0.1)),
    ),
    "schedule": (
        lambda: sequential(optimizer=keras.optimizers.SGD(0.1)),
        lambda: sequential(optimizer=keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 10))),
    ),
    "kind of schedule": (
        lambda: sequential(
            optimizer=keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9))
        ),
        lambda: sequential(
            optimizer=keras.optimizers.SGD(keras.optimizers.schedules.InverseTimeDecay(0.1, 10, 0.9))
        ),
    ),
    "optimizer": (lambda: sequential(optimizer="sgd"), lambda: sequential(optimizer="adam")),
    "nesterov": (
        lambda: sequential(optimizer=keras.optimizers.SGD(momentum=0.9)),
        lambda: sequential(optimizer=keras.optimizers.SGD(momentum=0.9, nesterov=True)),
    ),
    "weight decay of which": (
        lambda: sequential(optimizer=without_decay("bias")),
        lambda: sequential(optimizer=without_decay("kernel")),
    ),
    "loss": (lambda: sequential(loss="mse"), lambda: sequential(loss="mae")),
    "metrics": (lambda: sequential(metrics=["mse"]), lambda: sequential(metrics=["mae"])),
    "weighted metrics": (
        lambda: sequential(metrics=["mae"]),
        lambda: sequential(weighted_metrics=["mae"]),
    ),
    "names of logs": (lambda: metric_names(0), lambda: metric_names(1)),
    "lambdas in functions": (lambda: lambdas(False), lambda: lambdas(True)),
    "integer in a closure": (lambda: closed_over(1), lambda: closed_over(2)),
    "variable outside of the model": (lambda: untracked_variable(1.0), lambda: untracked_variable(2.0)),
    "generator outside of the model": (lambda: untracked_generator(1), lambda: untracked_generator(2)),
    "classes made by the builder": (lambda: local_classes(2), lambda: local_classes(3)),
    "policy": (
        lambda: sequential(layers.Dense(4)),
        lambda: sequential(layers.Dense(4, dtype="mixed_bfloat16")),
    ),
    "nested model": (
        lambda: sequential(keras.Sequential([layers.Dense(6), layers.Dense(6)])),
        lambda: sequential(layers.Dense(6), layers.Dense(6)),
    ),
    "slots": (lambda: sequential(Holds(Slotted(1.0))), lambda: sequential(Holds(Slotted(2.0)))),
    "slots beside attributes": (lambda: sequential(Holds(Half(1.0))), lambda: sequential(Holds(Half(2.0)))),
    "builtins of one name": (lambda: sequential(Holds([].pop)), lambda: sequential(Holds({}.pop))),
    "sets": (lambda: sequential(Holds({1.0, 2.0})), lambda: sequential(Holds({1.0, 3.0}))),
    "sets of objects": (
        lambda: sequential(Holds({Slotted.__init__, Half})),
        lambda: sequential(Holds({Slotted.__repr__, Holds})),
    ),
    "integer under a name of Keras's": (lambda: sequential(FromEnum(2)), lambda: sequential(FromEnum(3))),
    "array": (
        lambda: sequential(Holds(np.arange(5000))),
        lambda: sequential(Holds(np.arange(5000)[::-1])),
    ),
    "random key": (
        lambda: sequential(Holds(jax.random.key(0))),
        lambda: sequential(Holds(jax.random.key(1))),
    ),
    "partial": (
        lambda: sequential(Holds(functools.partial(ops.softmax, axis=0))),
        lambda: sequential(Holds(functools.partial(ops.softmax, axis=1))),
    ),
}


@pytest.mark.parametrize(("one", "other"), UNLIKE.values(), ids=UNLIKE.keys())
def test_models_that_train_differently_have_different_keys(one, other):
    data = {"x": [X, X]} if one is UNLIKE["inputs swapped"][0] else {}
    if one is UNLIKE["outputs swapped"][0]:
        data = {"y": [Y, Y]}
    assert key(one, **data) != key(other, **data)


def test_foreign_code_is_named():
    assert structure(made(lambda: sequential(loss=_own_loss))).foreign == "_own_loss"
    assert structure(made(sequential)).foreign == ""


def _own_loss(y, p):
    return ops.mean(y - p)


@pytest.mark.parametrize(
    "change",
    [
        lambda: keras.config.set_epsilon(1e-3),
        lambda: jax.config.update("jax_default_matmul_precision", "highest"),
    ],
    ids=["epsilon", "jax"],
)
def test_what_keras_and_jax_are_set_to_is_part_of_the_key(change):
    with left_as_found():
        before = key(lambda: sequential(loss="mse"))
        change()
        assert key(lambda: sequential(loss="mse")) != before


def test_given_names_matter():
    assert key(lambda: sequential(layers.Dense(4, name="a"))) != key(
        lambda: sequential(layers.Dense(4, name="b"))
    )


def test_names_of_logs_do_not_matter_where_they_are_renamed():
    models = [made(metric_names, counted) for counted in (0, 1)]
    keys = {structure(model, logs_named=False).key for model in models}
    assert len(keys) == 1


def test_an_object_that_holds_itself():
    class Own:
        pass

    own = Own()
    own.itself = own
    assert key(lambda: sequential(Holds(own))) == key(lambda: sequential(Holds(own)))


# --- numbers --------------------------------------------------------------------------------------------------


class Scales(layers.Layer):
    def __init__(self, factors, named, array):
        super().__init__()
        self.factors, self.named, self.array = factors, named, array
        self.function = functools.partial(ops.multiply, x2=factors[0])

    def call(self, x):
        return x


def loss_with(factor):
    return lambda y, p: factor * ops.mean(ops.abs(y - p))


def everything(a, b, c, d):
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dropout(a),
            Scales((b, [c]), {"d": d}, jax.numpy.full(3, d)),
            layers.Dense(3, kernel_regularizer=keras.regularizers.L2(b)),
        ]
    )
    model.compile(keras.optimizers.Adam(0.1, beta_1=c), loss_with(d))
    return model


def test_numbers_are_found_and_keys_do_not_depend_on_them():
    one, other = (structure(made(everything, *v)) for v in ((0.1, 0.2, 0.3, 0.4), (0.5, 0.6, 0.7, 0.8)))
    assert one.key == other.key
    assert one.numbers.keys() == other.numbers.keys()
    differing = {p for p, v in one.numbers.items() if not same_bits(v, other.numbers[p])}
    last = sorted(str(path[-1]) for path in differing)
    found = {"rate", "beta_1", "l2", "array", "factor", "x2", "d"}
    assert found <= set(last)
    assert sum(isinstance(path[-1], int) for path in differing) == 2  # (b, [c])


def test_numbers_can_be_set_and_set_back():
    model = made(everything, 0.1, 0.2, 0.3, 0.4)
    found = structure(model)
    undo = [
        slot.put(found.numbers[path] + 1 if isinstance(found.numbers[path], float) else "array")
        for path, slot in found.slots.items()
    ]
    scales = model.layers[1]
    assert model.layers[0].rate == 1.1
    assert scales.factors == (1.2, [1.3])
    assert scales.named == {"d": 1.4}
    assert scales.array == "array"
    assert scales.function.keywords == {"x2": 1.2}
    assert model.optimizer.beta_1 == 1.3
    for restore in reversed(undo):
        restore()
    again = structure(model)
    assert again.key == found.key
    assert all(same_bits(v, again.numbers[p]) for p, v in found.numbers.items())


def test_two_numbers_of_one_tuple_are_set_together():
    model = made(lambda: sequential(Holds((0.1, 0.2, 0.3))))
    found = structure(model)
    paths = [path for path in found.numbers if "held" in path]
    undo = [found.slots[path].put(9.0) for path in paths]
    assert model.layers[0].held == (9.0, 9.0, 9.0)
    for restore in reversed(undo):
        restore()
    assert model.layers[0].held == (0.1, 0.2, 0.3)


def test_steps_of_a_schedule_are_numbers():
    def build(steps):
        return sequential(optimizer=keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, steps)))

    one, other = structure(made(build, 10)), structure(made(build, 20))
    assert one.key == other.key
    assert 10.0 in one.numbers.values()
    assert 20.0 in other.numbers.values()


def test_a_learning_rate_is_state_and_no_number():
    one, other = (
        structure(made(lambda r: sequential(optimizer=keras.optimizers.SGD(r)), r)) for r in (0.1, 0.2)
    )
    assert one.key == other.key
    assert all(same_bits(v, other.numbers[p]) for p, v in one.numbers.items())


def test_infinite_and_missing_numbers_are_part_of_the_key():
    assert key(lambda: sequential(Holds(float("inf")))) != key(lambda: sequential(Holds(1.0)))
    assert key(lambda: sequential(Holds(None))) != key(lambda: sequential(Holds(1.0)))


def test_what_does_not_matter_to_training_is_left_alone():
    model = made(attention)
    before = {id(v): np.array(v.value) for v in model.variables}
    structure(model)
    assert all(np.array_equal(before[id(v)], v.value) for v in model.variables)
