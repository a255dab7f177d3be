"""What models share, and models rebuilt from a template.

Wherever it can be, the expectation is what Keras alone does: the same model built by hand.
"""

from __future__ import annotations

import contextlib
import pathlib
import random
import re

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from fairlane.errors import BuilderError, SharedStateError, StudyError
from fairlane.models.isolation import Shared, check_independent, shared_state
from fairlane.models.recipes.rebuild import rebuild
from fairlane.models.template import Template

# NumPy 2 says it to Keras, of `Variable.numpy()`.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept")

X = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def mlp(name="mlp", **compile_arguments):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, activation="relu", kernel_regularizer="l2", name="hidden"),
            layers.Dropout(0.5, name="drop"),
            layers.Dense(1, name="out"),
        ],
        name=name,
    )
    model.compile(**{"optimizer": "adam", "loss": "mse", "metrics": ["mae"], **compile_arguments})
    return model


def kinds(*models):
    return [shared.kind for shared in shared_state(*models)]


def weights(model):
    return [values(v) for v in model.weights]


def values(variable):
    return keras.ops.convert_to_numpy(variable)


def same(a, b):
    return len(a) == len(b) and all(np.array_equal(u, v) for u, v in zip(a, b, strict=True))


def built(template, seed, **paths):
    keras.utils.set_random_seed(seed)
    return template.build(paths or None)


def changed(model, path, value):
    return Template(model).build({path: value})


# --- shared_state ---


class TestSharedState:
    def test_models_built_apart_share_nothing(self):
        assert shared_state(mlp(), mlp()) == []

    def test_one_model_shares_nothing_with_itself(self):
        assert shared_state(mlp()) == []

    def test_second_name_is_said_once(self):
        model = mlp()
        assert shared_state(model, model) == [
            Shared("model", "mlp", ((0, "model"), (1, "model")), shared_state(model, model)[0].why)
        ]

    def test_third_model_beside_a_second_name(self):
        model, other = mlp(), mlp("other")
        other.compile(model.optimizer, "mse")
        found = shared_state(model, model, other)
        assert [one.kind for one in found] == ["model", "optimizer"]
        assert found[1].models == (0, 2)

    def test_shared_layer_covers_its_variables(self):
        dense = layers.Dense(2, name="dense_1")
        a = keras.Sequential([keras.Input((3,)), dense])
        inputs = keras.Input((3,))
        b = keras.Model(inputs, layers.Dense(1)(dense(inputs)))
        (shared,) = shared_state(a, b)
        assert (shared.kind, shared.name) == ("layer", "dense_1")
        assert shared.where == ((0, "dense_1"), (1, "dense_1"))

    def test_unbuilt_layer_in_a_list_used_twice(self):
        parts = [layers.Dense(2, name="a"), layers.Dense(1, name="b")]
        assert kinds(keras.Sequential(parts), keras.Sequential(parts)) == ["layer", "layer"]

    def test_layer_inside_a_shared_model_is_covered(self):
        encoder = keras.Sequential([keras.Input((3,)), layers.Dense(2)], name="encoder")
        models = [keras.Sequential([keras.Input((3,)), encoder, layers.Dense(1)]) for _ in "ab"]
        (shared,) = shared_state(*models)
        assert (shared.kind, shared.name) == ("layer", "encoder")

    def test_layer_of_a_nested_model(self):
        dense = layers.Dense(2, name="dense_1")
        encoder = keras.Sequential([keras.Input((3,)), dense], name="encoder")
        a = keras.Sequential([keras.Input((3,)), encoder])
        b = keras.Sequential([keras.Input((3,)), dense])
        assert shared_state(a, b)[0].where == ((0, "encoder/dense_1"), (1, "dense_1"))

    def test_model_that_is_a_layer_of_another(self):
        encoder = keras.Sequential([keras.Input((3,)), layers.Dense(2)], name="encoder")
        model = keras.Sequential([keras.Input((3,)), encoder])
        (shared,) = shared_state(encoder, model)
        assert (shared.kind, shared.where) == ("layer", ((0, "model"), (1, "encoder")))

    def test_layers_without_state_may_be_shared(self):
        flat, norm = layers.Flatten(), layers.Normalization()
        norm.adapt(X)
        a, b = (keras.Sequential([keras.Input((4,)), norm, flat, layers.Dense(1)]) for _ in "ab")
        assert shared_state(a, b) == []

    def test_dropout_is_state(self):
        drop = layers.Dropout(0.5)
        a, b = (keras.Sequential([keras.Input((4,)), drop]) for _ in "ab")
        assert kinds(a, b) == ["layer"]

    def test_subclassed_models(self):
        dense = layers.Dense(2, name="inner")

        class Net(keras.Model):
            def __init__(self):
                super().__init__()
                self.dense = dense

        assert shared_state(Net(), Net())[0].where == ((0, "inner"), (1, "inner"))

    def test_optimizer(self):
        optimizer = keras.optimizers.Adam(name="adam")
        (shared,) = shared_state(mlp(optimizer=optimizer), mlp(optimizer=optimizer))
        assert (shared.kind, shared.name) == ("optimizer", "adam")
        assert shared.where == ((0, "model.optimizer"), (1, "model.optimizer"))

    def test_optimizer_inside_a_loss_scale_optimizer(self):
        inner = keras.optimizers.SGD()
        wrapped = keras.optimizers.LossScaleOptimizer(inner)
        (shared,) = shared_state(mlp(optimizer=wrapped), mlp(optimizer=inner))
        assert shared.where == ((0, "model.optimizer.inner_optimizer"), (1, "model.optimizer"))
        assert kinds(mlp(optimizer=wrapped), mlp(optimizer=wrapped)) == ["optimizer"]

    def test_optimizers_of_a_gan(self):
        class Gan(keras.Model):
            def __init__(self, optimizer):
                super().__init__()
                self.d_optimizer = optimizer

        optimizer = keras.optimizers.SGD()
        (shared,) = shared_state(Gan(optimizer), Gan(optimizer))
        assert shared.where[0] == (0, "model.d_optimizer")

    @pytest.mark.parametrize("fitted", [False, True])
    @pytest.mark.parametrize("argument", ["metrics", "weighted_metrics"])
    def test_metric(self, argument, fitted):
        metric = keras.metrics.MeanAbsoluteError(name="mine")
        models = [mlp(**{argument: [metric]}) for _ in "ab"]
        for model in models if fitted else []:
            model.fit(X, Y, verbose=0)
        (shared,) = shared_state(*models)
        assert (shared.kind, shared.where[0]) == ("metric", (0, f"model.{argument}/mine"))

    def test_metric_of_a_layer(self):
        metric = keras.metrics.Mean(name="mine")
        models = []
        for _ in "ab":
            model = mlp()
            model.tracker = metric
            models.append(model)
        assert kinds(*models) == ["metric"]

    def test_loss_may_be_shared(self):
        loss = keras.losses.Huber()
        assert shared_state(mlp(loss=loss), mlp(loss=loss)) == []

    def test_seed_generator(self):
        class Noise(layers.Layer):
            def __init__(self, generator):
                super().__init__()
                self.generator = generator

            def call(self, x):
                return x + keras.random.normal(keras.ops.shape(x), seed=self.generator)

        generator = keras.random.SeedGenerator(1, name="dice")
        a, b = (keras.Sequential([keras.Input((3,)), Noise(generator)]) for _ in "ab")
        (shared,) = shared_state(a, b)
        assert (shared.kind, shared.name) == ("seed generator", "dice")

    def test_initializer_instance(self):
        draw, zeros = keras.initializers.GlorotUniform(), keras.initializers.Zeros()
        a, b = (
            keras.Sequential(
                [
                    keras.Input((3,)),
                    layers.Dense(1, kernel_initializer=draw, bias_initializer=zeros, name="d"),
                ]
            )
            for _ in "ab"
        )
        (shared,) = shared_state(a, b)
        assert (shared.kind, shared.where[0]) == ("initializer", (0, "d/kernel_initializer"))
        assert same(weights(a), weights(b))  # which is why it matters

    def test_variable_in_two_layers(self):
        class Tied(layers.Layer):
            def __init__(self, table, **kwargs):
                super().__init__(**kwargs)
                self.table = table

            def call(self, x):
                return x * self.table

        table = keras.Variable(np.ones(3, "float32"), name="table")
        a = keras.Sequential([keras.Input((3,)), Tied(table, name="u")])
        b = keras.Sequential([keras.Input((3,)), Tied(table, name="v")])
        (shared,) = shared_state(a, b)
        assert (shared.kind, shared.where) == ("variable", ((0, "u/table"), (1, "v/table")))

    def test_words(self):
        shared = Shared("layer", "d", ((0, "e/d"), (2, "d")), "Why.")
        assert str(shared) == "layer 'd' (e/d in model 0; d in model 2)"
        assert "e/d" in repr(shared)


class TestCheckIndependent:
    def test_silent_where_independent(self):
        check_independent(mlp(), mlp(), mlp())

    def test_second_name(self):
        model = mlp()
        with pytest.raises(SharedStateError, match=r"^Model 1 is a second name for model 0") as e:
            check_independent(model, model)
        assert "'mlp'" in str(e.value)
        assert "`model_copy = model` copies nothing" in str(e.value)
        assert e.value.shared[0].kind == "model"

    def test_names_both_models_what_and_remedy(self):
        optimizer = keras.optimizers.Adam(name="adam")
        with pytest.raises(SharedStateError) as e:
            check_independent(mlp("a", optimizer=optimizer), mlp("b", optimizer=optimizer), mlp("c"))
        message = str(e.value)
        assert message.startswith("Model 0 ('a') and model 1 ('b') are not independent")
        assert "optimizer 'adam' (model.optimizer in model 0; model.optimizer in model 1)" in message
        assert "moments" in message
        assert "one optimizer per model" in message
        assert "'c'" not in message

    def test_five_are_listed(self):
        parts = [layers.Dense(2) for _ in range(8)]
        with pytest.raises(SharedStateError, match="and 3 more") as e:
            check_independent(keras.Sequential(parts), keras.Sequential(parts))
        assert str(e.value).count("- layer ") == 5
        assert len(e.value.shared) == 8

    def test_given_names(self):
        model = mlp()
        with pytest.raises(SharedStateError, match="Second is a second name for first"):
            check_independent(model, model, names=["first", "second"])


# --- Template: what is built ---


def functional():
    """Two inputs, two outputs, a layer used twice, an operation that is no layer, a nested model."""
    encoder = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, name="dense_1"), layers.Dropout(0.1, name="drop")],
        name="encoder",
    )
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    both = layers.Dense(4, name="both")
    u, v = both(left), both(right)
    joined = layers.Concatenate(name="joined")([encoder(u), encoder(v) * 2.0])
    head = layers.Dense(1, name="head")(joined)
    model = keras.Model([left, right], {"head": head, "other": layers.Dense(2, name="other")(joined)})
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        loss={"head": "mse", "other": keras.losses.Huber(delta=0.5)},
        loss_weights={"head": 1.0, "other": 0.25},
        metrics={"head": ["mae"], "other": [keras.metrics.MeanSquaredError(name="second")]},
    )
    return model


TWO = {"left": X, "right": X[::-1]}
TARGETS = {"head": Y, "other": np.repeat(Y, 2, axis=1)}


class Net(keras.Model):
    """Subclassed, with layers made by its constructor, integer seeds and a train step of its own."""

    def __init__(self, units=4, rate=0.5, **kwargs):
        super().__init__(**kwargs)
        self.units, self.rate = units, rate
        self.hidden = layers.Dense(units, kernel_initializer=keras.initializers.HeNormal(seed=3))
        self.drop = layers.Dropout(rate, seed=1)
        self.out = layers.Dense(1)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "rate": self.rate}

    def call(self, x, training=False):
        return self.out(self.drop(self.hidden(x), training=training))

    def train_step(self, *args):
        self.steps = "mine"
        return super().train_step(*args)


def net(fitted=False, **arguments):
    model = Net(**arguments)
    model.compile("adam", "mse")
    if fitted:
        model.fit(X, Y, verbose=0)
    return model


MODELS = {
    "sequential": (mlp, X, Y),
    "functional": (functional, TWO, TARGETS),
    "subclassed": (net, X, Y),
    "subclassed, fitted": (lambda: net(fitted=True), X, Y),
}


@pytest.fixture(params=MODELS, name="case")
def _case(request):
    make, x, y = MODELS[request.param]
    return make(), x, y


def history(model, x, y, seed):
    keras.utils.set_random_seed(seed)
    return model.fit(x, y, epochs=3, batch_size=8, verbose=0).history


class TestBuild:
    def test_is_a_function_of_the_seed(self, case):
        model, x, y = case
        template = Template(model)

        def run(seed):
            fresh = built(template, seed)
            return fresh.fit(x, y, epochs=3, batch_size=8, verbose=0).history, weights(fresh)

        (first, w), _, (again, w_again), (other, w_other) = run(1), run(2), run(1), run(2)
        assert first == again
        assert same(w, w_again)
        assert first != other
        assert not same(w, w_other)

    def test_shares_nothing(self, case):
        model, x, y = case
        template = Template(model)
        a, b = template.build(), template.build()
        for one in (a, b):
            one.fit(x, y, verbose=0)
        assert shared_state(model, a, b) == []
        ids = [
            {id(v) for v in [*m.variables, *m.metrics_variables, *m.optimizer.variables]}
            for m in (model, a, b)
        ]
        assert not ids[0] & ids[1]
        assert not ids[1] & ids[2]
        assert a.optimizer is not b.optimizer

    def test_template_is_left_as_it_was(self, case):
        model, x, y = case
        model.fit(x, y, verbose=0)

        def state():
            held = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
            nodes = [len(layer._inbound_nodes) for layer in model._flatten_layers()]
            return [values(v) for v in held], nodes, [layer.name for layer in model.layers]

        before, dice, numbers = state(), random.getstate(), np.random.get_state()[1]  # noqa: NPY002
        template = Template(model)
        assert random.getstate() == dice
        assert np.array_equal(np.random.get_state()[1], numbers)  # noqa: NPY002
        template.build().fit(x, y, verbose=0)
        after = state()
        assert same(before[0], after[0])
        assert before[1:] == after[1:]

    def test_is_the_same_model(self, case):
        model, x, y = case
        fresh = Template(model).build()
        for one in (model, fresh):
            one.fit(x, y, verbose=0)
        assert type(fresh) is type(model)
        assert fresh.name == model.name
        assert [layer.name for layer in fresh.layers] == [layer.name for layer in model.layers]
        assert [v.path for v in fresh.weights] == [v.path for v in model.weights]
        assert [v.shape for v in fresh.variables] == [v.shape for v in model.variables]

    def test_trains_as_the_model_itself_does(self, case):
        """With the template's weights, the rebuilt model's logs are the template's own."""
        model, x, y = case
        fresh = rebuild(model, keep_seeds=True)
        for one in (model, fresh):
            keras.utils.set_random_seed(0)
            one.predict(x, verbose=0)
        fresh.set_weights(model.get_weights())
        for one in (model, fresh):
            one.compile  # noqa: B018
            for layer in one._flatten_layers():
                for generator in layer._seed_generators:
                    generator.state.assign([5, 0])
        optimizer = model.optimizer.variables
        if model.optimizer.built:
            fresh.optimizer.build(fresh.trainable_variables)
            for a, b in zip(fresh.optimizer.variables, optimizer, strict=True):
                a.assign(values(b))
        # Unshuffled: a model that was fitted before draws one batch order less than a new one.
        ours, theirs = (m.fit(x, y, epochs=3, shuffle=False, verbose=0).history for m in (fresh, model))
        assert list(ours) == list(theirs)
        for name in ours:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5)

    def test_does_not_depend_on_models_built_before(self):
        template = Template(mlp())
        first = weights(built(template, 5))
        for _ in range(3):
            template.build()
        mlp()
        assert same(weights(built(template, 5)), first)

    def test_metrics_of_the_template_do_not_move(self):
        metric = keras.metrics.MeanAbsoluteError()
        model = mlp(metrics=[metric])
        Template(model).build().fit(X, Y, verbose=0)
        assert float(metric.count) == 0

    def test_deferred_sequential_stays_deferred(self):
        model = keras.Sequential([layers.Dense(2), layers.Dense(1)])
        model.compile("sgd", "mse")
        template = Template(model)
        fresh = built(template, 1)
        assert not fresh.built
        a = fresh.fit(X, Y, verbose=0).history
        assert built(template, 1).fit(X, Y, verbose=0).history == a


class TestSeeds:
    def seeded(self):
        model = keras.Sequential(
            [
                keras.Input((4,)),
                layers.Dense(8, kernel_initializer=keras.initializers.HeNormal(seed=1), name="a"),
                layers.Dropout(0.5, seed=1, name="drop"),
                layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(2), name="b"),
            ]
        )
        model.compile("sgd", "mse")
        return model

    def test_replicates_differ(self):
        template = Template(self.seeded())
        a, b = built(template, 1), built(template, 2)
        assert not same([weights(a)[0]], [weights(b)[0]])
        assert not same([weights(a)[2]], [weights(b)[2]])
        states = [values(m.get_layer("drop").seed_generator.state)[0] for m in (a, b)]
        assert states[0] != states[1]

    def test_replicates_of_a_subclassed_model_differ(self):
        template = Template(net(fitted=True))
        a, b = built(template, 1), built(template, 2)
        assert not np.array_equal(values(a.hidden.kernel), values(b.hidden.kernel))
        assert int(a.drop.seed_generator.state[0]) != int(b.drop.seed_generator.state[0])

    def test_seed_generator_given_to_an_initializer(self):
        dice = keras.random.SeedGenerator(7)
        model = keras.Sequential(
            [keras.Input((4,)), layers.Dense(2, kernel_initializer=keras.initializers.HeNormal(dice))]
        )
        model.compile("sgd", "mse")
        template = Template(model)
        assert not same(weights(built(template, 1)), weights(built(template, 2)))
        assert same(weights(built(template, 1)), weights(built(template, 1)))

    def test_custom_layer_that_needs_an_integer(self):
        class Noise(layers.Layer):
            def __init__(self, seed, **kwargs):
                super().__init__(**kwargs)
                self.seed = seed
                self.shift = np.random.default_rng(seed + 0).normal()

            def get_config(self):
                return {**super().get_config(), "seed": self.seed}

            def call(self, x):
                return x + self.shift

        model = keras.Sequential([keras.Input((4,)), Noise(3, name="noise")])
        model.compile("sgd", "mse")
        template = Template(model)
        seeds = [built(template, s).get_layer("noise").seed for s in (1, 2, 1)]
        assert seeds[0] == seeds[2] != seeds[1]

    def test_given_by_the_variant(self):
        fresh = built(Template(self.seeded()), 1, **{"drop.seed": 5})
        assert values(fresh.get_layer("drop").seed_generator.state).tolist() == [5, 0]

    def test_can_be_kept(self):
        fresh = rebuild(self.seeded(), keep_seeds=True)
        assert fresh.get_layer("drop").seed == 1


class TestOverrides:
    def test_reach(self):
        fresh = Template(mlp()).build(
            {
                "hidden.units": 7,
                "hidden.activation": "tanh",
                "hidden.kernel_regularizer.l2": 0.5,
                "drop.rate": 0.25,
                "optimizer.learning_rate": 0.125,
                "optimizer.beta_1": 0.5,
            }
        )
        hidden = fresh.get_layer("hidden")
        assert hidden.kernel.shape == (4, 7)
        assert hidden.activation is keras.activations.tanh
        assert float(hidden.kernel_regularizer.l2) == 0.5
        assert fresh.get_layer("drop").rate == 0.25
        assert float(fresh.optimizer.learning_rate) == 0.125
        assert fresh.optimizer.beta_1 == 0.5

    def test_do_not_stay(self):
        template = Template(mlp())
        template.build({"drop.rate": 0.25, "optimizer.learning_rate": 0.5})
        fresh = template.build()
        assert fresh.get_layer("drop").rate == 0.5
        assert float(fresh.optimizer.learning_rate) == pytest.approx(1e-3)

    @given(
        rate=st.floats(0.0, 0.99),
        learning_rate=st.floats(2**-20, 1.0, width=32),
        units=st.integers(1, 9),
    )
    @settings(max_examples=15, deadline=None)
    def test_values_survive(self, rate, learning_rate, units):
        paths = {"drop.rate": rate, "optimizer.learning_rate": learning_rate, "out.units": units}
        fresh = TEMPLATE.build(paths)
        assert fresh.get_layer("drop").rate == rate
        assert float(fresh.optimizer.learning_rate) == learning_rate
        assert fresh.output_shape == (None, units)
        for path in paths:
            TEMPLATE.check(path)

    def test_trains_as_the_model_written_by_hand(self):
        def by_hand():
            model = mlp(optimizer=keras.optimizers.Adam(0.05))
            model.get_layer("drop").rate = 0.25
            return model

        expected = history(by_hand(), X, Y, 0)
        fresh = changed(mlp(), "drop.rate", 0.25)
        assert list(expected) == list(history(fresh, X, Y, 0))

        keras.utils.set_random_seed(11)
        ours = Template(mlp()).build({"drop.rate": 0.25, "optimizer.learning_rate": 0.05})
        theirs = by_hand()
        theirs.set_weights(ours.get_weights())
        state = ours.get_layer("drop").seed_generator.state
        theirs.get_layer("drop").seed_generator.state.assign(values(state))
        assert history(ours, X, Y, 1) == history(theirs, X, Y, 1)

    def test_nested_model(self):
        fresh = changed(functional(), "encoder.dense_1.units", 6)
        assert fresh.get_layer("encoder").get_layer("dense_1").units == 6
        assert fresh.get_layer("head").kernel.shape == (12, 1)

    def test_wrapper(self):
        model = keras.Sequential(
            [keras.Input((3, 4)), layers.Bidirectional(layers.LSTM(2, seed=3), name="bi")]
        )
        model.compile("sgd", "mse")
        assert changed(model, "bi.layer.units", 5).output_shape == (None, 10)

    def test_constructor_argument_of_a_subclassed_model(self):
        fresh = Template(net()).build({"units": 9, "rate": 0.125})
        assert (fresh.hidden.units, fresh.drop.rate) == (9, 0.125)

    def test_trainable(self):
        fresh = changed(mlp(), "hidden.trainable", False)
        assert len(fresh.trainable_variables) == 2

    def test_numpy_values_and_whole_numbers(self):
        template = Template(mlp())
        assert template.build({"hidden.units": np.int64(3)}).get_layer("hidden").units == 3
        rate = template.build({"optimizer.learning_rate": 1}).optimizer.learning_rate
        assert float(rate) == 1.0

    def test_objects_among_the_values_are_not_shared(self):
        template = Template(mlp())
        regularizer = keras.regularizers.L1(0.5)
        optimizer = keras.optimizers.SGD(0.25)
        initializer = keras.initializers.HeNormal()
        paths = {
            "hidden.kernel_regularizer": regularizer,
            "hidden.kernel_initializer": initializer,
            "optimizer": optimizer,
        }
        a, b = template.build(paths), template.build(paths)
        assert shared_state(a, b) == []
        assert a.optimizer is not optimizer
        assert isinstance(a.optimizer, keras.optimizers.SGD)
        assert float(a.get_layer("hidden").kernel_regularizer.l1) == 0.5

    def test_optimizer_by_name_and_its_learning_rate(self):
        fresh = Template(mlp()).build({"optimizer": "sgd", "optimizer.learning_rate": 0.5})
        assert isinstance(fresh.optimizer, keras.optimizers.SGD)
        assert float(fresh.optimizer.learning_rate) == 0.5

    def test_function_as_value(self):
        def double(x):
            return 2 * x

        assert changed(mlp(), "hidden.activation", double).get_layer("hidden").activation is double

    def test_loss(self):
        assert changed(mlp(), "loss", "mae").loss == "mae"
        assert changed(mlp(loss=keras.losses.Huber()), "loss.delta", 0.5).loss._fn_kwargs == {"delta": 0.5}
        fresh = Template(functional()).build({"loss.other.delta": 2.0, "loss.head": "mae"})
        assert fresh.loss["other"]._fn_kwargs == {"delta": 2.0}
        assert fresh.loss["head"] == "mae"

    def test_loss_weights(self):
        model = changed(functional(), "loss_weights.other", 4.0)
        assert model._compile_config.config["loss_weights"] == {"head": 1.0, "other": 4.0}

    def test_schedule(self):
        schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
        model = mlp(optimizer=keras.optimizers.SGD(schedule))
        path = "optimizer.learning_rate.initial_learning_rate"
        fresh = changed(model, path, 0.5)
        assert float(fresh.optimizer.learning_rate) == 0.5
        assert float(changed(model, "optimizer.learning_rate", 0.25).optimizer.learning_rate) == 0.25

    def test_wrapped_optimizer(self):
        inner = keras.optimizers.SGD(0.1)
        model = mlp(optimizer=keras.optimizers.LossScaleOptimizer(inner, initial_scale=8.0))
        fresh = changed(model, "optimizer.learning_rate", 0.5)
        assert float(fresh.optimizer.inner_optimizer.learning_rate) == 0.5
        assert fresh.optimizer.initial_scale == 8.0


TEMPLATE = Template(mlp())


class TestCompileArguments:
    def test_current_learning_rate(self):
        model = mlp(optimizer=keras.optimizers.Adam(0.1))
        template = Template(model)
        model.optimizer.learning_rate = 0.25
        assert float(template.build().optimizer.learning_rate) == 0.25

    def test_optimizer_starts_at_its_beginning(self):
        model = mlp()
        model.fit(X, Y, verbose=0)
        assert int(Template(model).build().optimizer.iterations) == 0

    def test_schedule_is_rebuilt(self):
        schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
        fresh = Template(mlp(optimizer=keras.optimizers.SGD(schedule))).build()
        rebuilt = fresh.optimizer._learning_rate
        assert rebuilt is not schedule
        assert rebuilt.get_config() == schedule.get_config()

    def test_functions_are_reused_as_they_are(self):
        def my_loss(y, p):
            return keras.ops.mean(keras.ops.square(y - p), axis=-1)

        def my_metric(y, p):
            return keras.ops.mean(keras.ops.abs(y - p))

        model = mlp(loss=my_loss, metrics=[my_metric, lambda y, p: keras.ops.mean(p)])
        fresh = Template(model).build()
        assert fresh.loss is my_loss
        assert fresh._compile_config.config["metrics"][0] is my_metric
        expected = list(model.fit(X, Y, verbose=0).history)
        assert list(fresh.fit(X, Y, verbose=0).history) == expected

    def test_functions_inside_objects(self):
        def my_fn(y, p):
            return keras.ops.mean(keras.ops.abs(y - p), axis=-1)

        metric = keras.metrics.MeanMetricWrapper(my_fn, name="mine")
        wrapped = keras.metrics.MeanMetricWrapper(lambda y, p: y - p, name="anonymous")
        model = mlp(metrics=[metric, wrapped])
        fresh = Template(model).build()
        rebuilt = fresh._compile_config.config["metrics"]
        assert rebuilt[0] is not metric
        assert rebuilt[0]._fn is my_fn
        assert rebuilt[1]._fn is wrapped._fn

    def test_learning_rate_function(self):
        model = mlp(optimizer=keras.optimizers.SGD(lambda: 0.25))
        assert float(Template(model).build().optimizer.learning_rate) == 0.25

    def test_the_rest(self):
        model = mlp(
            weighted_metrics=[keras.metrics.MeanSquaredError(name="weighted")],
            steps_per_execution=2,
            jit_compile=False,
        )
        fresh = Template(model).build()
        assert fresh.steps_per_execution == 2
        assert fresh.jit_compile is False
        assert fresh.run_eagerly is False
        weighted = fresh._compile_config.config["weighted_metrics"]
        assert [m.name for m in weighted] == ["weighted"]

    def test_run_eagerly(self):
        fresh = Template(mlp(run_eagerly=True)).build()
        assert fresh.run_eagerly is True
        assert fresh.jit_compile is False

    @pytest.mark.parametrize("scale", [True, False])
    def test_auto_scale_loss(self, scale):
        keras.config.set_dtype_policy("mixed_float16")
        try:
            model = mlp(auto_scale_loss=scale)
        finally:
            keras.config.set_dtype_policy("float32")
        fresh = Template(model).build()
        assert isinstance(fresh.optimizer, keras.optimizers.LossScaleOptimizer) is scale
        assert fresh.dtype_policy.name == "mixed_float16"
        assert fresh.get_layer("hidden").compute_dtype == "float16"
        assert keras.config.dtype_policy().name == "float32"

    def test_weight_decay_exclusions(self):
        model = mlp(optimizer=keras.optimizers.AdamW(0.1))
        model.optimizer.exclude_from_weight_decay([model.get_layer("out").kernel], ["bias"])
        fresh = Template(model).build()
        fresh.optimizer.build(fresh.trainable_variables)
        decays = [v.path for v in fresh.trainable_variables if fresh.optimizer._use_weight_decay(v)]
        assert [path.removeprefix("mlp/") for path in decays] == ["hidden/kernel"]

    def test_weight_decay_exclusions_of_a_subclassed_model(self):
        model = Net()
        model(X)
        model.compile(keras.optimizers.AdamW(0.1), "mse")
        model.optimizer.exclude_from_weight_decay([model.out.kernel])
        fresh = Template(model).build()
        decays = [fresh.optimizer._use_weight_decay(layer.kernel) for layer in (fresh.hidden, fresh.out)]
        assert decays == [True, False]

    def test_list_of_losses_and_metrics(self):
        inputs = keras.Input((4,))
        model = keras.Model(inputs, [layers.Dense(1)(inputs), layers.Dense(1)(inputs)])
        model.compile("sgd", loss=["mse", keras.losses.Huber()], metrics=[["mae"], ["mse"]])
        fresh = Template(model).build()
        assert list(fresh.fit(X, [Y, Y], verbose=0).history) == list(model.fit(X, [Y, Y], verbose=0).history)

    def test_metric_used_for_two_outputs_stays_one(self):
        model = functional()
        metric = keras.metrics.MeanSquaredError()
        model.compile("sgd", "mse", metrics={"head": [metric], "other": [metric]})
        rebuilt = Template(model).build()._compile_config.config["metrics"]
        assert rebuilt["head"][0] is rebuilt["other"][0] is not metric


class TestLayers:
    def test_adapted_normalization(self):
        norm = layers.Normalization(name="norm")
        norm.adapt(3 * X + 1)
        model = keras.Sequential([keras.Input((4,)), norm, layers.Dense(1)])
        model.compile("sgd", "mse")
        fresh = Template(model).build()
        assert fresh.get_layer("norm") is not norm
        np.testing.assert_allclose(values(fresh.get_layer("norm")(X)), values(norm(X)))

    def test_normalization_inside_a_subclassed_model(self):
        class Normed(keras.Model):
            def __init__(self, **kwargs):
                super().__init__(**kwargs)
                self.norm = layers.Normalization()
                self.out = layers.Dense(1)

            def call(self, x):
                return self.out(self.norm(x))

        model = Normed()
        model.norm.adapt(3 * X + 1)
        model.compile("sgd", "mse")
        for fitted in (False, True):
            if fitted:
                model.fit(X, Y, verbose=0)
            fresh = Template(model).build()
            np.testing.assert_allclose(values(fresh.norm(X)), values(model.norm(X)))

    def test_what_keras_leaves_out_of_its_configs(self):
        eye = keras.initializers.Identity(gain=3.0)
        model = keras.Sequential([keras.Input((4,)), layers.Dense(4, kernel_initializer=eye)])
        model.compile("sgd", keras.losses.Huber(delta=0.5))
        assert "delta" not in model.loss.get_config()
        fresh = Template(model).build()
        assert fresh.loss._fn_kwargs == {"delta": 0.5}
        np.testing.assert_array_equal(values(fresh.layers[0].kernel), 3 * np.eye(4))

    def test_vocabulary_that_is_saved_as_a_file(self):
        """As `StringLookup` and `TextVectorization` save theirs, which need TensorFlow."""

        class Lookup(layers.Layer):
            words = ""

            def adapt(self, words):
                self.words = words

            def save_assets(self, folder):
                pathlib.Path(folder, "words.txt").write_text(self.words)

            def load_assets(self, folder):
                self.words = pathlib.Path(folder, "words.txt").read_text()

            def call(self, x):
                return x

        lookup = Lookup(name="lookup")
        lookup.adapt("a b")
        model = keras.Sequential([keras.Input((4,)), lookup, layers.Dense(1)])
        model.compile("sgd", "mse")
        fresh = Template(model).build().get_layer("lookup")
        assert (fresh.words, fresh is lookup) == ("a b", False)

    def test_discretization(self):
        cut = layers.Discretization(bin_boundaries=[-1.0, 0.0, 1.0], name="cut")
        model = keras.Sequential([keras.Input((4,)), cut, layers.Dense(1)])
        model.compile("sgd", "mse")
        assert Template(model).build().get_layer("cut").bin_boundaries == [-1.0, 0.0, 1.0]

    def test_layer_used_twice_stays_one(self):
        fresh = Template(functional()).build()
        assert len(fresh.layers) == len(functional().layers)
        assert len(fresh.get_layer("both")._inbound_nodes) == 2

    def test_layer_in_the_model_and_in_a_nested_one_stays_one(self):
        tied = layers.Dense(4, name="tied")
        inner = keras.Sequential([keras.Input((4,)), tied], name="inner")
        inputs = keras.Input((4,))
        model = keras.Model(inputs, layers.Dense(1)(tied(inner(inputs))))
        model.compile("sgd", "mse")
        fresh = Template(model).build()
        assert fresh.get_layer("inner").get_layer("tied") is fresh.get_layer("tied")

    def test_trainable_flags(self):
        model = functional()
        model.get_layer("encoder").trainable = False
        model.get_layer("encoder").get_layer("drop").trainable = True
        model.compile("sgd", "mse")
        fresh = Template(model).build()
        flags = [layer.trainable for layer in fresh._flatten_layers()]
        assert flags == [layer.trainable for layer in model._flatten_layers()]
        assert len(fresh.trainable_variables) == len(model.trainable_variables)

    def test_frozen_model(self):
        model = mlp()
        model.trainable = False
        fresh = Template(model).build()
        assert not fresh.trainable
        assert fresh.trainable_variables == []

    def test_trainable_flag_of_a_layer_within_a_layer(self):
        model = net(fitted=True)
        model.hidden.trainable = False
        assert not Template(model).build().hidden.trainable

    def test_dtype_policy_of_a_layer(self):
        model = keras.Sequential([keras.Input((4,)), layers.Dense(1, dtype="mixed_bfloat16", name="half")])
        model.compile("sgd", "mse")
        fresh = Template(model).build()
        assert fresh.get_layer("half").dtype_policy.name == "mixed_bfloat16"
        assert fresh.dtype_policy.name == "float32"

    def test_compiled_nested_model(self):
        encoder = mlp("encoder")
        model = keras.Sequential([keras.Input((4,)), encoder])
        model.compile("sgd", "mse")
        assert shared_state(Template(model).build(), model) == []

    def test_lambda_layers(self):
        factor = 3.0
        model = keras.Sequential(
            [
                keras.Input((4,)),
                layers.Lambda(lambda x: x * factor, name="times"),
                layers.Lambda(lambda x: x + factor, name="plus"),
            ]
        )
        model.compile("sgd", "mse")
        fresh = Template(model).build()
        np.testing.assert_allclose(fresh.predict(X, verbose=0), 3 * X + 3, rtol=1e-5)

    def test_two_activations_of_one_name(self):
        def make(k):
            def activation(x):
                return k * x

            return activation

        model = keras.Sequential([keras.Input((4,)), *(layers.Dense(1, activation=make(k)) for k in (2, 3))])
        model.compile("sgd", "mse")
        fresh = Template(model).build()
        for ours, theirs in zip(fresh.layers, model.layers, strict=True):
            assert ours.activation is theirs.activation

    def test_unregistered_custom_objects(self):
        class Ball(keras.constraints.Constraint):
            def __call__(self, w):
                return keras.ops.clip(w, -1, 1)

        class Double(layers.Layer):
            def __init__(self, times, inner, **kwargs):
                super().__init__(**kwargs)
                self.times, self.inner = times, inner

            def get_config(self):
                return {**super().get_config(), "times": self.times, "inner": self.inner}

            def call(self, x):
                return self.inner(x) * self.times

        dense = layers.Dense(2, kernel_constraint=Ball(), name="inside")
        model = keras.Sequential([keras.Input((4,)), Double(2.0, dense, name="double")])
        model.compile("sgd", "mse")
        fresh = Template(model).build({"double.times": 4.0})
        double = fresh.get_layer("double")
        assert double.times == 4.0
        assert double.inner is not dense
        assert isinstance(double.inner.kernel_constraint, Ball)

    def test_multi_head_attention(self):
        inputs = keras.Input((3, 4))
        attended = layers.MultiHeadAttention(2, 2, dropout=0.1, seed=1)(inputs, inputs)
        model = keras.Model(inputs, layers.Dense(1)(attended))
        model.compile("sgd", "mse")
        template = Template(model)
        assert not same(weights(built(template, 1)), weights(built(template, 2)))
        assert same(weights(built(template, 1)), weights(built(template, 1)))

    def test_layer_with_a_simple_constructor(self):
        class Scale(layers.Layer):
            def __init__(self, factor=2.0):
                super().__init__()
                self.factor = factor

            def call(self, x):
                return x * self.factor

        model = keras.Sequential([keras.Input((4,)), Scale(3.0)])
        model.compile("sgd", "mse")
        fresh = Template(model).build()
        assert fresh.layers[0].factor == 3.0
        assert fresh.layers[0].name == model.layers[0].name

    def test_sparse_and_optional_inputs(self):
        a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b", optional=True)
        model = keras.Model({"a": a, "b": b}, layers.Dense(1)(a + b))
        model.compile("sgd", "mse")
        fresh = Template(model).build()
        assert set(fresh.input) == {"a", "b"}
        assert [layer.optional for layer in fresh.layers if hasattr(layer, "optional")] == [
            layer.optional for layer in model.layers if hasattr(layer, "optional")
        ]


class TestClasses:
    def test_train_step_of_a_functional_subclass(self):
        class Scaled(keras.Model):
            def __init__(self, *args, factor=1.0, **kwargs):
                super().__init__(*args, **kwargs)
                self.factor = factor

            def compute_loss(self, *args, **kwargs):
                return self.factor * super().compute_loss(*args, **kwargs)

        inputs = keras.Input((4,))
        model = Scaled(inputs, layers.Dense(1)(inputs), factor=0.0)
        model.compile("sgd", "mse")
        fresh = Template(model).build()
        assert type(fresh) is Scaled
        assert fresh.factor == 0.0
        assert fresh.fit(X, Y, verbose=0).history["loss"] == [0.0]

    def test_sequential_subclass(self):
        class Mine(keras.Sequential):
            def train_step(self, *args):
                return super().train_step(*args)

        model = Mine([keras.Input((4,)), layers.Dense(1)])
        model.compile("sgd", "mse")
        assert type(Template(model).build()) is Mine

    def test_train_step_of_a_subclass(self):
        fresh = Template(net()).build()
        fresh.fit(X, Y, verbose=0)
        assert fresh.steps == "mine"

    def test_functional_model_made_by_its_constructor(self):
        class Tower(keras.Model):
            def __init__(self, units=3, **kwargs):
                inputs = keras.Input((4,))
                super().__init__(inputs, layers.Dense(units, name="last")(inputs), **kwargs)
                self.units = units

            def get_config(self):
                return {"units": self.units, "name": self.name}

        model = Tower(5)
        model.compile("sgd", "mse")
        assert Template(model).build().output_shape == (None, 5)
        assert changed(model, "units", 6).output_shape == (None, 6)

    def test_without_get_config(self):
        """Keras's own config of such a model holds the defaults, whatever it was called with."""

        class Plain(keras.Model):
            def __init__(self, units=3):
                super().__init__()
                self.units = units
                self.out = layers.Dense(units)

            def call(self, x):
                return self.out(x)

        model = Plain()
        model.compile("sgd", "mse")
        fresh = Template(model).build()
        assert (fresh.out.units, fresh.name) == (3, model.name)
        model = Plain(2)
        model.compile("sgd", "mse")
        assert model.get_config().get("units") != 2
        with pytest.raises(BuilderError, match=r'class Plain:\n.*\n.*"units": self\.units'):
            Template(model)

    def test_compile_of_its_own(self):
        class Gan(keras.Model):
            def compile(self, d_optimizer):
                super().compile(loss="mse")
                self.d_optimizer = d_optimizer

        class GoodGan(Gan):
            def get_compile_config(self):
                return {"d": keras.optimizers.serialize(self.d_optimizer)}

            def compile_from_config(self, config):
                self.compile(keras.optimizers.deserialize(config["d"]))

        model = Gan()
        model.compile(keras.optimizers.SGD(0.5))
        with pytest.raises(BuilderError, match=r"(?s)class Gan has its own `compile\(\)`.*get_comp"):
            Template(model)
        model = GoodGan()
        model.compile(keras.optimizers.SGD(0.5))
        fresh = Template(model).build()
        assert float(fresh.d_optimizer.learning_rate) == 0.5
        assert shared_state(model, fresh) == []

    def test_method_as_loss(self):
        class Own(keras.Sequential):
            def my_loss(self, y, p):
                return self.layers[0].units * keras.ops.mean(y - p)

        model = Own([keras.Input((4,)), layers.Dense(1)])
        model.compile("sgd", model.my_loss)
        fresh = Template(model).build()
        assert fresh.loss.__self__ is fresh


# --- Template: errors ---


class TestRefused:
    def refused(self, model, *words):
        with pytest.raises(BuilderError) as e:
            Template(model)
        for word in words:
            assert re.search(word, str(e.value)), str(e.value)

    def test_not_a_model(self):
        self.refused(mlp, "must be a compiled keras.Model, not function")

    def test_not_compiled(self):
        self.refused(keras.Sequential([layers.Dense(1)], name="bare"), "'bare' is not compiled")

    def test_subclassed_without_get_config(self):
        class Opaque(keras.Model):
            def __init__(self, encoder):
                super().__init__()
                self.encoder = encoder

        model = Opaque(layers.Dense(1))
        model.compile("sgd", "mse")
        self.refused(model, "Opaque", "get_config", "builder")

    def test_layer_that_forgets_an_argument(self):
        class Forgetful(layers.Layer):
            def __init__(self, factor=1.0, **kwargs):
                super().__init__(**kwargs)
                self.factor = factor

            def get_config(self):
                return super().get_config()

            def call(self, x):
                return x * self.factor

        model = keras.Sequential([keras.Input((4,)), Forgetful(3.0, name="f")])
        model.compile("sgd", "mse")
        self.refused(model, "Forgetful 'f'", '"factor": self.factor')
        same_as_default = keras.Sequential([keras.Input((4,)), Forgetful()])
        same_as_default.compile("sgd", "mse")
        Template(same_as_default)

    def test_metric_that_forgets_an_argument(self):
        class Above(keras.metrics.Mean):
            def __init__(self, threshold=0.5, **kwargs):
                super().__init__(**kwargs)
                self.threshold = threshold

        self.refused(mlp(metrics=[Above(0.7, name="a")]), "Above 'a'", '"threshold": self.threshold')

    def test_shared_variable_inside(self):
        class Tied(layers.Layer):
            def __init__(self, source, **kwargs):
                super().__init__(**kwargs)
                self.kernel = source.kernel

            def get_config(self):
                return super().get_config()

            @classmethod
            def from_config(cls, config):
                return cls(SOURCE, **config)

            def call(self, x):
                return x @ keras.ops.transpose(self.kernel)

        SOURCE = layers.Dense(2)
        SOURCE.build((None, 4))
        model = keras.Sequential([keras.Input((4,)), SOURCE, Tied(SOURCE)])
        model.compile("sgd", "mse")
        self.refused(model, "rebuilt")

    def test_loss_that_closes_over_a_layer(self):
        model = mlp()
        layer = model.get_layer("hidden")
        model.compile("sgd", lambda y, p: keras.ops.mean(y - p) + keras.ops.sum(layer.kernel))
        self.refused(model, "uses 'hidden' of that very model")

    def test_value_that_a_layer_does_not_take(self):
        with pytest.raises(BuilderError, match=r"Dropout 'drop' does not take rate=2\.0: ValueError"):
            TEMPLATE.build({"drop.rate": 2.0})


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        [
            "optimizer",
            "optimizer.learning_rate",
            "loss",
            "hidden.units",
            "hidden.kernel_regularizer",
            "hidden.kernel_regularizer.l2",
            "drop.rate",
        ],
    )
    def test_good(self, path):
        TEMPLATE.check(path)

    @pytest.mark.parametrize(
        ("path", "words"),
        [
            ("drop.rat", ["Dropout has no setting 'rat'", 'mean "drop.rate"', "rate, seed"]),
            ("dorp.rate", ["no layer 'dorp'", 'mean "drop.rate"', "hidden, drop, out", "optimizer"]),
            ("optimiser.learning_rate", ['mean "optimizer.learning_rate"']),
            ("optimizer.momentum", ["Adam has no setting 'momentum'", "learning_rate, "]),
            ("optimizer.lerning_rate", ['Did you mean "optimizer.learning_rate"']),
            ("hidden", ["is a whole Dense", "units", "hidden."]),
            ("hidden.kernel_regularizer.l1", ["Dense's kernel_regularizer has no setting", "l2"]),
            ("hidden.bias_regularizer.l2", ["Dense's bias_regularizer", "none to vary"]),
            ("loss.delta", ["has no setting 'delta'"]),
            ("rate", ["no layer 'rate'"]),
            ("", ["no layer ''"]),
        ],
    )
    def test_bad(self, path, words):
        for ask in (TEMPLATE.check, lambda path: TEMPLATE.build({path: 1})):
            with pytest.raises(StudyError) as e:
                ask(path)
            for word in words:
                assert word in str(e.value)

    def test_nested(self):
        template = Template(functional())
        template.check("encoder.dense_1.kernel_initializer")
        with pytest.raises(StudyError, match=r'Did you mean "encoder\.dense_1\.units"'):
            template.check("encoder.dense_2.units")
        with pytest.raises(StudyError, match=r'Did you mean "encoder\.dense_1\.units"'):
            template.check("encoder.dense_1.unit")
        with pytest.raises(StudyError, match="say which of its layers"):
            template.check("encoder")
        with pytest.raises(StudyError, match="loss has no output 'haed'"):
            template.check("loss.haed")

    def test_subclassed(self):
        template = Template(net())
        template.check("units")
        with pytest.raises(StudyError, match="Net has no setting 'unit'"):
            template.check("unit")

    @given(st.text(max_size=12))
    @settings(max_examples=60, deadline=None)
    def test_any_text_is_good_or_refused_in_words(self, path):
        good = path.split(".")[0] in ("optimizer", "loss", "loss_weights")
        with (
            contextlib.nullcontext() if good else pytest.raises(StudyError, match=r"leads nowhere|say which")
        ):
            TEMPLATE.check(path)
