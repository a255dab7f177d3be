"""Models in whose steps the user's own code runs: each lane gets what Keras alone gives, whatever that code reads.

Keras alone is `keras_alone`: `set_random_seed`, the builder, `fit`. In a fresh process the builder would have run just
before, so what it sets is there; that is why expected values are taken trial by trial.
"""

from __future__ import annotations

import itertools
import os
import random
import types

import jax
import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers, ops

import fairlane as fl
from _alone import assert_logs_agree, history_of, keras_alone

RNG = np.random.default_rng(5)
X = RNG.normal(size=(40, 4)).astype("float32")
Y = RNG.normal(size=(40, 1)).astype("float32")
FIT = {"epochs": 2, "batch_size": 16, "validation_split": 0.2}


def network(*between, loss="mse", cls=keras.Sequential, optimizer="sgd", **compiled):
    model = cls([keras.Input((4,)), layers.Dense(4, "tanh"), *between, layers.Dense(1)])
    model.compile(optimizer, loss, **compiled)
    return model


def check(build, grid, seeds=(0,), x=X, y=Y, engine="auto", of=lambda number: True, **arguments):
    """Train on lanes where that can be; compare each trial, or some, with Keras alone. Returns the study."""
    arguments = {**FIT, **arguments}
    study = fl.compare(
        build, grid, x, y, seeds=seeds, engine=engine, verbose=0, on_error="raise", **arguments
    )
    for row in study.trials.to_dict("records"):
        if not of(row["trial"]):
            continue
        given = {name: row[name] for name in grid}
        alone = keras_alone(build, given, row["seed"], x, y, **arguments)
        assert_logs_agree(history_of(study, row["trial"]), alone.logs, what=f"{given} seed {row['seed']}")
    return study


def engines(study):
    return set(study.trials["engine"])


# --- where the code may read a number from ----------------------------------------------------------------------

GAIN = 1.0
SETTINGS = {"gain": 1.0, "deep": [{"gain": 1.0}]}
SPACE = types.SimpleNamespace(gain=1.0)
VARIABLE = None


class Config:
    gain = 1.0
    rounds = 1


def read_global():
    return GAIN


class Named(layers.Layer):
    """Multiplies by what a function returns: methods of module-level classes, called by Keras."""

    def __init__(self, read, **kwargs):
        super().__init__(**kwargs)
        self.read = read

    def call(self, x):
        return x * self.read()


class OfGlobal(layers.Layer):
    def call(self, x):
        return x * GAIN


def set_global(value):
    global GAIN
    GAIN = value


def set_variable(value):
    global VARIABLE
    VARIABLE = keras.Variable(value, trainable=False)


def put(container, key):
    return lambda value: container.__setitem__(key, value)


PLACES = {
    "global of a class's method": (set_global, OfGlobal),
    "global of a function": (set_global, lambda: Named(read_global)),
    "class attribute": (lambda v: setattr(Config, "gain", v), lambda: Named(lambda: Config.gain)),
    "namespace": (lambda v: setattr(SPACE, "gain", v), lambda: Named(lambda: SPACE.gain)),
    "dict": (put(SETTINGS, "gain"), lambda: Named(lambda: SETTINGS["gain"])),
    "dict in a list in a dict": (
        put(SETTINGS["deep"][0], "gain"),
        lambda: Named(lambda: SETTINGS["deep"][0]["gain"]),
    ),
    "environment": (
        lambda v: os.environ.__setitem__("FL_GAIN", str(v)),
        lambda: Named(lambda: float(os.environ["FL_GAIN"])),
    ),
    "untracked variable": (set_variable, lambda: Named(lambda: VARIABLE)),
}


@pytest.mark.parametrize("place", PLACES, ids=PLACES.keys())
def test_the_step_may_read_anything_that_the_builder_sets(place, monkeypatch):
    monkeypatch.setenv("FL_GAIN", "1")
    set_it, layer = PLACES[place]

    def build(gain):
        set_it(gain)
        return network(layer())

    # Of two seeds of each number one, in turns: what another lane has read is seen all the same.
    study = check(build, {"gain": [0.5, 3.0, 2.0]}, seeds=[0, 1], of=(1, 2, 5).__contains__)
    assert engines(study) == {"lanes"}
    assert study.trials["fleet"].nunique() <= 2


def test_a_number_that_decides_the_shape_of_the_program_makes_fleets():
    class Rounds(keras.Sequential):
        def call(self, x, **more):
            for _ in range(Config.rounds):
                x = ops.tanh(x)
            return super().call(x, **more)

    def build(rounds):
        Config.rounds = rounds
        return network(cls=Rounds)

    study = check(build, {"rounds": [1, 3]}, seeds=[0, 1])
    assert study.trials["fleet"].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    "call", [jax.jit, lambda f: lambda x: jax.lax.cond(True, f, f, x)], ids=["jit", "cond"]
)
def test_functions_whose_traces_jax_remembers_are_traced_anew(call):
    """JAX keeps a trace by the function's identity: in one process it would be the first trial's for all."""
    scaled = call(_times_gain)

    def build(gain):
        set_global(gain)
        return network(layers.Lambda(lambda x: scaled(x)))

    grid = {"gain": [0.5, 3.0]}
    study = fl.compare(build, grid, X, Y, verbose=0, on_error="raise", **FIT)
    for trial, gain in enumerate(grid["gain"]):
        jax.clear_caches()  # as a fresh process
        alone = keras_alone(build, {"gain": gain}, 0, X, Y, **FIT)
        assert_logs_agree(history_of(study, trial), alone.logs)


def _times_gain(x):
    return x * GAIN


def test_the_reference_engine_does_not_remember_either():
    scaled = jax.jit(_times_gain)

    def build(gain):
        set_global(gain)
        return network(layers.Lambda(lambda x: scaled(x)))

    study = fl.compare(build, {"gain": [0.5, 3.0]}, X, Y, engine="reference", verbose=0, **FIT)
    first, second = (history_of(study, t)["loss"] for t in (0, 1))
    assert first != second


# --- what the code may do with a hyperparameter -----------------------------------------------------------------


class Held(layers.Layer):
    def __init__(self, gain, use, **kwargs):
        super().__init__(**kwargs)
        self.gain, self.use = gain, use

    def call(self, x):
        return self.use(self.gain, x)


def swallowed(gain, x):
    try:
        return x * float(gain)
    except Exception:
        return x


USES = {
    "isinstance": lambda g, x: x * g if isinstance(g, (int, float)) else x,
    "type": lambda g, x: x * g if type(g) is float else x,
    "isscalar": lambda g, x: x * g if np.isscalar(g) else x,
    "hasattr": lambda g, x: x if hasattr(g, "shape") else x * g,
    "text": lambda g, x: x * len(str(g)),
    "hash": lambda g, x: x * {0.5: 2.0}.get(g, 0.7),
    "float in a try": swallowed,
    "numpy": lambda g, x: x * np.asarray([g, 1, 2, g], "float32"),
    "power": lambda g, x: x * (g**2 + 1 / g),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_the_step_may_ask_of_what_kind_a_number_is(use):
    study = check(lambda gain: network(Held(gain, use)), {"gain": [0.5, 2.0]})
    assert engines(study) == {"lanes"}


class Initialized(layers.Layer):
    """Calls an initializer while it trains, not only where it is built."""

    def __init__(self, value):
        super().__init__()
        self.make = keras.initializers.Constant(value)

    def call(self, x):
        return x * self.make((4,))


class Regular(layers.Layer):
    def __init__(self, factor):
        super().__init__()
        self.regularizer = keras.regularizers.L2(factor)
        self.constraint = keras.constraints.MaxNorm(factor)

    def call(self, x):
        self.add_loss(self.regularizer(x))
        return self.constraint(x)


@pytest.mark.parametrize("layer", [Initialized, Regular], ids=["initializer", "regularizer and constraint"])
def test_keras_objects_that_the_step_calls(layer):
    check(lambda constant: network(layer(constant)), {"constant": [0.5, 2.0]})


# --- what the code may not do on lanes --------------------------------------------------------------------------

COUNTER = itertools.count(1)
GENERATOR = np.random.default_rng(0)


class Drawn(layers.Layer):
    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def call(self, x):
        return x * self.draw()


@pytest.mark.parametrize("draw", [np.random.uniform, random.random], ids=["numpy", "python"])
def test_random_draws_while_tracing_decline(draw):
    study = check(lambda rate: network(Drawn(draw)), {"rate": [1]}, seeds=[0, 1])
    assert engines(study) == {"reference"}
    assert "draws from a global random generator while it is traced" in study.trials["reason"][0]


@pytest.mark.parametrize("draw", [GENERATOR.uniform, lambda: next(COUNTER)], ids=["a generator", "a counter"])
def test_a_step_that_is_traced_differently_each_time_declines(draw):
    study = fl.compare(lambda rate: network(Drawn(draw)), {"rate": [1, 2]}, X, Y, verbose=0, **FIT)
    assert engines(study) == {"reference"}
    assert "traced differently each time" in study.trials["reason"][0]


class Doubling(keras.Sequential):
    def fit(self, x=None, y=None, **more):
        return super().fit(x * 2, y, **more)


class Twice(keras.Sequential):
    def evaluate(self, x=None, y=None, **more):
        logs = super().evaluate(x, y, **{**more, "return_dict": True})
        return {**logs, "twice": 2 * logs["loss"]}


class Stepped(keras.Sequential):
    def make_train_function(self, force=False):
        super().make_train_function(force)
        step = self.train_function
        self.train_function = lambda state, iterator: step(state, iterator)


class Endless(keras.Sequential):
    def reset_metrics(self):
        pass


class Counting(keras.metrics.MeanSquaredError):
    def reset_state(self):
        self.resets = getattr(self, "resets", 0) + 1
        super().reset_state()


class Kept(keras.metrics.MeanSquaredError):
    def reset_state(self):
        pass


@pytest.mark.parametrize("cls", [Doubling, Twice, Stepped, Endless])
def test_models_with_a_training_loop_of_their_own_run_on_the_reference_engine(cls):
    study = check(lambda rate: network(cls=cls, optimizer=keras.optimizers.SGD(rate)), {"rate": [0.01, 0.02]})
    assert engines(study) == {"reference"}
    assert cls.__name__ in study.trials["reason"][0]


@pytest.mark.parametrize(
    ("metric", "why"),
    [
        (Counting, "Counting counts how often it is reset or read"),
        (Kept, "does not reset 'kept/total' at the beginning of an epoch"),
    ],
)
def test_metrics_that_do_not_begin_each_epoch_anew_run_on_the_reference_engine(metric, why):
    study = check(lambda rate: network(metrics=[metric(name="kept")]), {"rate": [1]})
    assert engines(study) == {"reference"}
    assert why in study.trials["reason"][0]


def test_a_reset_of_ones_own_that_resets_is_no_reason():
    class Tracked(keras.Sequential):
        def __init__(self, *args):
            super().__init__(*args)
            self.tracker = keras.metrics.Mean(name="distance")

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            self.tracker.update_state(ops.abs(y - y_pred))
            return super().compute_loss(x, y, y_pred, sample_weight, training)

        def reset_metrics(self):
            super().reset_metrics()
            self.tracker.reset_state()

        @property
        def metrics(self):
            return [*super().metrics, self.tracker]

    study = check(
        lambda rate: network(cls=Tracked, optimizer=keras.optimizers.SGD(rate)), {"rate": [0.01, 0.1]}
    )
    assert engines(study) == {"lanes"}


# --- what is set between the builder and the first step ---------------------------------------------------------


class Weighted(keras.Sequential):
    factor = 1.0

    def compute_loss(self, *args, **kwargs):
        return self.factor * super().compute_loss(*args, **kwargs)


class SetsFactor(keras.callbacks.Callback):
    def __init__(self, factor, epoch=0, hook="on_epoch_begin"):
        super().__init__()
        self.factor, self.epoch = factor, epoch
        setattr(self, hook, self.put)

    def put(self, epoch=None, logs=None):
        if not isinstance(epoch, int) or epoch == self.epoch:
            self.model.factor = self.factor


def callbacks_of(trial):
    return [SetsFactor(trial.hyperparameters["factor"])]


def test_a_callback_sets_a_number_before_the_first_step():
    def build(factor):
        return network(cls=Weighted)

    grid = {"factor": [0.1, 2.0]}
    study = fl.compare(build, grid, X, Y, callbacks=callbacks_of, verbose=0, **FIT)
    assert engines(study) == {"lanes"}
    for trial, factor in enumerate(grid["factor"]):
        alone = keras_alone(build, {"factor": factor}, 0, X, Y, callbacks=[SetsFactor(factor)], **FIT)
        assert_logs_agree(history_of(study, trial), alone.logs)


@pytest.mark.parametrize("own", [True, False], ids=["own class", "of keras"])
def test_what_a_callback_sets_later_is_not_seen_as_in_keras_alone(own):
    """Keras traces the step once; a number that is set in epoch 1 has no effect. Nor has it when lanes are regrouped."""

    class Late(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                if own:
                    self.model.factor = 100.0
                else:
                    self.model.layers[1].rate = 0.9

        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1 and keep:
                self.model.stop_training = True

    keep = []

    def build(rate):
        cls = Weighted if own else keras.Sequential
        return network(layers.Dropout(0.5), cls=cls, optimizer=keras.optimizers.SGD(rate))

    arguments = {**FIT, "epochs": 4}
    study = fl.compare(build, {"rate": [0.01, 0.1]}, X, Y, callbacks=lambda: [Late()], verbose=0, **arguments)
    for trial, rate in enumerate([0.01, 0.1]):
        alone = keras_alone(build, {"rate": rate}, 0, X, Y, callbacks=[Late()], **arguments)
        assert_logs_agree(history_of(study, trial), alone.logs)


class SetsForTests(keras.callbacks.Callback):
    def on_test_begin(self, logs=None):
        self.model.factor = 3.0
        self.model.layers[1].rate = 0.9


@pytest.mark.parametrize("cls", [Weighted, keras.Sequential], ids=["own class", "of keras"])
def test_a_callback_changes_the_test_step_where_validation_begins(cls):
    """Keras traces it only then. The trial starts again, on the reference engine."""

    def build(rate):
        return network(layers.Dropout(0.5), cls=cls, optimizer=keras.optimizers.SGD(rate))

    arguments = {**FIT, "callbacks": lambda: [SetsForTests()], "verbose": 0}
    study = fl.compare(build, {"rate": [0.1]}, X, Y, **arguments)
    alone = keras_alone(build, {"rate": 0.1}, 0, X, Y, callbacks=[SetsForTests()], **FIT)
    assert_logs_agree(history_of(study, 0), alone.logs)
    assert engines(study) == {"reference"}
    assert "test step reads" in study.trials["reason"][0]
    with pytest.raises(fl.errors.LanesError, match="on_test_begin"):
        fl.compare(build, {"rate": [0.1]}, X, Y, engine="lanes", **arguments)


# --- what Keras and JAX are set to ------------------------------------------------------------------------------


def test_settings_of_keras_that_the_builder_changes_are_the_trials_own():
    def build(epsilon):
        keras.config.set_epsilon(epsilon)
        return network(loss="mape")

    before = keras.config.epsilon()
    study = check(build, {"epsilon": [1e-7, 1e-1]})
    keras.config.set_epsilon(before)
    assert study.trials["fleet"].nunique() == 2


def test_a_setting_of_jax_that_the_builder_changes_is_put_back():
    def build(precision):
        jax.config.update("jax_default_matmul_precision", precision)
        return network()

    before = jax.config.values["jax_default_matmul_precision"]
    study = fl.compare(build, {"precision": ["highest", "default"]}, X, Y, verbose=0, on_error="raise", **FIT)
    assert study.trials["fleet"].nunique() == 2
    assert jax.config.values["jax_default_matmul_precision"] == before


@pytest.mark.filterwarnings("ignore:Limiting")
@pytest.mark.parametrize("name", ["set_max_epochs", "set_max_steps_per_epoch"])
def test_keras_limits_of_epochs_and_steps_hold(name):
    getattr(keras.config, name)(1)
    try:
        study = check(lambda rate: network(optimizer=keras.optimizers.SGD(rate)), {"rate": [0.01, 0.1]})
    finally:
        getattr(keras.config, name)(None)
    assert engines(study) == {"lanes"}


def test_without_jit_trials_run_on_the_reference_engine():
    before = jax.config.jax_disable_jit
    jax.config.update("jax_disable_jit", True)
    try:
        study = fl.compare(lambda rate: network(), {"rate": [1]}, X[:8], Y[:8], verbose=0, epochs=1)
    finally:
        jax.config.update("jax_disable_jit", before)
    assert study.trials["state"].tolist() == ["done"]
    assert "jax_disable_jit" in study.trials["reason"][0]


# --- data that is read while lanes train ------------------------------------------------------------------------


class Parts(keras.utils.PyDataset):
    """Two batches of 16 and one of 8."""

    def __len__(self):
        return 3

    def __getitem__(self, i):
        return X[16 * i : 16 * i + 16], Y[16 * i : 16 * i + 16]


@pytest.mark.parametrize("engine", ["lanes", "reference"])
def test_batches_of_a_size_that_comes_up_later_are_trained_on_as_the_first(engine):
    def build(gain):
        set_global(gain)
        return network(OfGlobal() if engine == "reference" else Held(gain, USES["power"]))

    grid = {"gain": [0.5, 3.0]}
    study = fl.compare(build, grid, Parts(), verbose=0, on_error="raise", epochs=2, shuffle=False)
    for trial, gain in enumerate(grid["gain"]):
        alone = keras_alone(build, {"gain": gain}, 0, Parts(), None, epochs=2, shuffle=False)
        assert_logs_agree(history_of(study, trial), alone.logs)
    assert engine in engines(
        study
    )  # the global has the last trial's value by then: that one may stay on lanes


# --- compositions -----------------------------------------------------------------------------------------------

INGREDIENTS = {
    **{f"reads: {name}": place for name, place in PLACES.items() if name != "environment"},
    **{f"asks: {name}": (None, use) for name, use in USES.items()},
}


@pytest.mark.slow
@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    names=st.lists(st.sampled_from(sorted(INGREDIENTS)), min_size=1, max_size=3, unique=True),
    values=st.lists(st.sampled_from([0.25, 0.5, 1.5, 2.0]), min_size=2, max_size=2, unique=True),
    dropout=st.booleans(),
)
def test_any_composition_is_trained_as_by_keras_alone(names, values, dropout):
    def build(gain):
        made = []
        for name in names:
            set_it, part = INGREDIENTS[name]
            if set_it is None:
                made.append(Held(gain, part))
            else:
                set_it(gain)
                made.append(part())
        return network(*made, *([layers.Dropout(gain / 4)] if dropout else []))

    check(build, {"gain": values}, seeds=[3], engine="lanes")


def test_a_constant_that_is_nan_is_equal_to_itself():
    study = check(
        lambda gain: network(Held(gain, lambda g, x: ops.where(x > 9, np.nan, x * g))), {"gain": [0.5, 2.0]}
    )
    assert engines(study) == {"lanes"}
    assert study.trials["fleet"].nunique() == 1


def test_minus_zero_is_not_zero():
    def sign(gain, x):
        return x * ops.arctan2(ops.convert_to_tensor(gain), -1.0)

    study = check(lambda gain: network(Held(gain, sign)), {"gain": [0.0, -0.0, 1.0]})
    assert engines(study) == {"lanes"}


class Smallest(keras.metrics.MeanSquaredError):
    """Remembers a Python number when its result is read."""

    best = None

    def result(self):
        value = super().result()
        if not isinstance(value, jax.core.Tracer):
            self.best = min(float(value), self.best or 1e9)
        return value


def test_a_metric_that_remembers_what_was_read_runs_on_the_reference_engine():
    study = check(lambda rate: network(metrics=[Smallest()]), {"rate": [1]})
    assert "Smallest counts" in study.trials["reason"][0]


class SetsClasses(keras.callbacks.Callback):
    """Changes one of Keras's own metrics, whose result Keras computes anew in each epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch:
            self.model.get_metrics_result()  # it is built by now
            for metric in self.model.metrics:
                for one in getattr(metric, "metrics", ()):
                    if isinstance(one, keras.metrics.IoU):
                        one.target_class_ids = [0]


CLASSES = RNG.integers(0, 2, (40, 1)).astype("float32")


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype")
def test_a_metric_that_a_callback_changes_while_training():
    def build(rate):
        model = keras.Sequential([keras.Input((4,)), layers.Dense(2, "softmax")])
        iou = keras.metrics.IoU(2, [1], sparse_y_pred=False)
        model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=[iou])
        return model

    arguments = {**FIT, "epochs": 3}
    study = fl.compare(
        build, {"rate": [0.1]}, X, CLASSES, callbacks=lambda: [SetsClasses()], verbose=0, **arguments
    )
    alone = keras_alone(build, {"rate": 0.1}, 0, X, CLASSES, callbacks=[SetsClasses()], **arguments)
    assert_logs_agree(history_of(study, 0), alone.logs)
    assert engines(study) == {"reference"}


class Steepens(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.model.layers[1].negative_slope = 0.1 + epoch


def sloped(rate, **compiled):
    return network(layers.LeakyReLU(0.1), optimizer=keras.optimizers.SGD(rate), **compiled)


@pytest.mark.parametrize(("compiled", "fit"), [({"jit_compile": False}, {}), ({}, {"validation_freq": 2})])
def test_what_keras_traces_later_or_runs_each_time(compiled, fit):
    def build(rate):
        return sloped(rate, **compiled)

    arguments = {**FIT, "epochs": 4, **fit}
    study = fl.compare(build, {"rate": [0.1]}, X, Y, callbacks=lambda: [Steepens()], verbose=0, **arguments)
    alone = keras_alone(build, {"rate": 0.1}, 0, X, Y, callbacks=[Steepens()], **arguments)
    assert_logs_agree(history_of(study, 0), alone.logs)
    assert engines(study) == {"reference"}


def test_a_step_that_calls_python_while_it_runs_declines():
    def halved(x):
        return jax.pure_callback(_half, jax.ShapeDtypeStruct((), "float32"), vmap_method="sequential") * x

    study = check(lambda rate: network(layers.Lambda(halved)), {"rate": [1]})
    assert "calls Python while it runs" in study.trials["reason"][0]


def _half():
    return np.float32(0.5)


class Ones(keras.optimizers.SGD):
    def finalize_variable_values(self, var_list):
        for variable in var_list:
            variable.assign(ops.ones(variable.shape))


def test_an_optimizer_has_its_last_word():
    study = fl.compare(lambda rate: network(optimizer=Ones(rate)), {"rate": [0.1]}, X, Y, verbose=0, **FIT)
    assert engines(study) == {"lanes"}
    assert all((w == 1).all() for w in study.model(0).get_weights())


@pytest.mark.parametrize("engine", ["lanes", "reference"])
def test_a_study_whose_callbacks_changed_the_model_begins_anew(engine, tmp_path):
    store = {"store": f"{tmp_path}/runs.db", "name": "slopes"}
    arguments = {**FIT, "callbacks": lambda: [Steepens()], "verbose": 0, "engine": engine}
    grid = {"rate": [0.1]}
    fl.compare(sloped, grid, X, Y, **{**arguments, "epochs": 2}, **store)
    with pytest.warns(fl.FairlaneWarning, match="starts again from its first epoch"):
        more = fl.compare(sloped, grid, X, Y, **{**arguments, "epochs": 4}, **store)
    alone = keras_alone(sloped, {"rate": 0.1}, 0, X, Y, callbacks=[Steepens()], **{**FIT, "epochs": 4})
    assert_logs_agree(history_of(more, 0), alone.logs)


class Watched(layers.Layer):
    """Updates a metric in ``call``: while Keras's ``fit`` runs on JAX, the metric's variables have no value."""

    def __init__(self):
        super().__init__()
        self.mean = keras.metrics.Mean()

    def call(self, inputs):
        self.mean.update_state(inputs)
        return inputs


def test_what_reads_a_variable_that_is_no_input_of_the_step_fails_as_in_keras_alone():
    def build(rate):
        return network(Watched(), optimizer=keras.optimizers.SGD(rate))

    with pytest.raises(TypeError, match="NoneType"):
        keras_alone(build, {"rate": 0.1}, 0, X, Y)
    with pytest.warns(fl.FairlaneWarning, match="nothing was trained"):
        study = fl.compare(build, {"rate": [0.1, 0.2]}, X, Y, seeds=1, epochs=1, verbose=0)
    assert study.trials["error"].str.contains("NoneType").all()
