"""Every private name of Keras that Fairlane uses still means what `fairlane.models.keras_private` takes it to mean.

When a new Keras makes one of these fail, the package `keras_private` is the place to mend. Tried with Keras 3.13.2 (JAX 0.7.2)
and 3.15.1 (JAX 0.10.2).
"""

from __future__ import annotations

import sys
import threading
import types

import keras
import numpy as np
import pytest
from keras import layers

import fairlane as fl
from fairlane.models import keras_private
from fairlane.models.session import Session

TRIED = ("3.13.2", "3.15.1")

X = np.arange(12, dtype="float32").reshape(6, 2)
Y = X.sum(axis=1, keepdims=True)


def built(fitted=True):
    model = keras.Sequential([keras.Input((2,)), layers.Dropout(0.5), layers.Dense(1, name="out")])
    model.compile(keras.optimizers.AdamW(0.1, weight_decay=0.1), "mse", metrics=["mae"])
    if fitted:
        model.fit(X, Y, verbose=0)
    return model


def wired():
    inputs = keras.Input((2,), name="inputs")
    return keras.Model(inputs, layers.Dense(1)(inputs) + 1.0)


def test_versions_tried_are_named():
    assert "3.13" in keras_private.__doc__
    assert "3.15" in keras_private.__doc__
    oldest = min(tuple(map(int, v.split(".")[:2])) for v in TRIED)
    here = tuple(map(int, keras.__version__.split(".")[:2]))
    assert here >= oldest


# --- models -------------------------------------------------------------------------------------------------


def test_is_functional():
    assert keras_private.is_functional(wired())
    assert not keras_private.is_functional(built(fitted=False))
    assert not keras_private.is_functional(layers.Dense(1))


def test_all_layers():
    inner = wired()
    model = keras.Sequential([keras.Input((2,)), inner])
    assert {model, inner, inner.layers[1]} <= set(keras_private.all_layers(model))


def test_sublayers():
    model = built(fitted=False)
    assert [type(layer) for layer in keras_private.sublayers(model)] == [
        layers.InputLayer,
        layers.Dropout,
        layers.Dense,
    ]
    assert keras_private.sublayers(layers.Dense(1)) == []
    assert keras_private.sublayers(None) == []


def test_own_variables():
    dense = layers.Dense(3)
    dense.build((None, 2))
    assert [tuple(v.shape) for v in keras_private.own_variables(dense)] == [(2, 3), (3,)]
    norm = layers.BatchNormalization()
    norm.build((None, 2))
    assert len(keras_private.own_variables(norm)) == 4
    assert keras_private.own_variables(built()) == []


def test_names_of_attributes():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.out = layers.Dense(1)
            self.factor = 2.0

        def call(self, x):
            return self.factor * self.out(x)

    names = keras_private.names_of_attributes()
    model = Own()
    model.compile("sgd", "mse")
    model.fit(X, Y, validation_data=(X, Y), verbose=0)
    model.predict(X, verbose=0)
    wired_one = wired()
    wired_one.compile("sgd", "mse")
    wired_one.fit(X, Y, verbose=0)
    for one in (model, built(), wired_one):
        assert {name for name in vars(one).keys() - names if name[0] != "_"} <= {"out", "factor"}

    class Twice(layers.Layer):
        def call(self, x):
            return 2 * x

    layer = Twice(dtype="float16", trainable=False)
    layer(X)
    assert vars(layer).keys() <= names


def test_own_metrics():
    class Counts(layers.Layer):
        def __init__(self):
            super().__init__()
            self.counted = keras.metrics.Mean()

    layer = Counts()
    assert keras_private.own_metrics(layer) == [layer.counted]


def test_metric_directions():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    metrics = ["mae", keras.metrics.R2Score(name="fit"), keras.metrics.Mean(name="average")]
    model.compile("sgd", "mse", metrics=metrics[:2], weighted_metrics=["mse"])
    assert keras_private.compiled._metrics_lists(model._compile_metrics) == []
    model.fit(X, Y, verbose=0)
    assert len(keras_private.compiled._metrics_lists(model._compile_metrics)) == 2
    assert keras_private.metric_directions(model) == {"mae": "min", "fit": "max", "mse": "min"}
    assert [keras_private.compiled._direction(keras.metrics.get(m)) for m in metrics] == ["min", "max", ""]


def test_a_class_that_changes_what_a_metric_gives_has_no_direction_of_it():
    class FalseDiscoveryRate(keras.metrics.Precision):
        def result(self):
            return 1 - super().result()

    class Counted(keras.metrics.Precision):
        """It gives what Keras's gives."""

    class Said(FalseDiscoveryRate):
        def __init__(self, name):
            super().__init__(name=name)
            self._direction = "down"

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    metrics = [FalseDiscoveryRate(name="fdr"), Counted(name="counted"), Said(name="said")]
    model.compile("sgd", "mse", metrics=metrics)
    model.evaluate(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    assert keras_private.metric_directions(model) == {"counted": "max", "said": "min"}


def test_metric_directions_of_several_outputs_have_the_names_of_logs():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, {name: layers.Dense(1, name=name)(inputs) for name in ("a", "b")})
    model.compile(
        "sgd", {"a": "mse", "b": "mae"}, metrics={"a": [keras.metrics.R2Score(name="fit")], "b": ["mae"]}
    )
    history = model.fit(X, {"a": Y, "b": Y}, verbose=0).history
    known = keras_private.metric_directions(model)
    assert set(history) - {"loss"} <= set(known)
    assert {name: known[name] for name in history if name != "loss"} == {
        "a_loss": "min",
        "b_loss": "min",
        "a_fit": "max",
        "b_mae": "min",
    }


def test_averages_weights():
    plain, average = keras.optimizers.SGD(), keras.optimizers.SGD(use_ema=True)
    assert not keras_private.averages_weights(plain)
    assert not keras_private.averages_weights(None)
    assert keras_private.averages_weights(average)
    assert keras_private.averages_weights(keras.optimizers.LossScaleOptimizer(average))


def test_names_of_metrics_are_those_of_logs():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, {name: layers.Dense(1, name=name)(inputs) for name in ("a", "b")})
    model.compile("sgd", {"a": "mse", "b": "mae"}, metrics={"a": [keras.metrics.R2Score(name="fit")]})
    y = {"a": Y, "b": Y}
    history = model.fit(X, y, verbose=0).history
    before = [np.array(v) for v in model.metrics_variables]
    assert set(keras_private.names_of_metrics(model)) == set(history)
    assert all(map(np.array_equal, before, [np.array(v) for v in model.metrics_variables]))


def test_own_seed_generators():
    dropout = layers.Dropout(0.5)
    assert keras_private.own_seed_generators(dropout) == [dropout.seed_generator]
    assert keras_private.own_seed_generators(layers.Dense(1)) == []


def test_compile_arguments():
    model = built(fitted=False)
    arguments = keras_private.compile_arguments(model)
    assert arguments["optimizer"] is model.optimizer
    assert arguments["loss"] == "mse"
    assert arguments["metrics"] == ["mae"]
    assert keras_private.compile_arguments(wired()) == {}


def test_weight_decay():
    model = built()
    optimizer, variables = model.optimizer, model.trainable_variables
    assert keras_private.excluded_from_weight_decay(optimizer, variables) == ([], [])
    assert keras_private.weight_decays(optimizer, variables) == [True, True]
    optimizer = keras.optimizers.AdamW(0.1)
    optimizer.exclude_from_weight_decay(var_list=variables[:1], var_names=["bias"])
    assert keras_private.excluded_from_weight_decay(optimizer, variables) == ([0], ["bias"])
    assert keras_private.weight_decays(optimizer, variables) == [False, False]


def test_input_layer():
    model = wired()
    assert keras_private.input_layer(model.inputs[0]) is model.layers[0]
    assert keras_private.input_layer(model.inputs[0]).name == "inputs"


def test_copy_operation():
    model = wired()
    add = model.operations[-1]
    copied = keras_private.copy_operation(add)
    assert type(copied) is type(add)
    assert copied is not add
    inputs = keras.Input((1,))
    again = keras.Model(inputs, copied(inputs, 1.0))
    assert again.operations[-1] is copied
    assert float(again(np.ones((1, 1)))[0, 0]) == 2.0
    assert model.operations[-1] is add


# --- hidden state ---------------------------------------------------------------------------------------------


def test_never_trainable_are_those_that_were_made_so():
    norm = layers.BatchNormalization()
    norm.build((None, 2))
    for trainable in (True, False):
        norm.trainable = trainable
        assert [v.name for v in keras_private.never_trainable(norm)] == ["moving_mean", "moving_variance"]


def test_clear_session_by_thread_leaves_other_threads_theirs():
    """It stands for ``threading`` in the module that holds Keras's attributes, which makes them with it."""
    from keras.src.backend.common import global_state

    layers.Dense(1)
    before = dict(keras_private.attributes()["object_name_uids"])
    heard = []

    def other():
        layers.Dense(1)
        keras.backend.clear_session()
        heard.append([layers.Dense(1).name, dict(keras_private.attributes()["object_name_uids"])])

    keras_private.clear_session_by_thread(True)
    try:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(60)
        assert dict(keras_private.attributes()["object_name_uids"]) == before
        keras.backend.clear_session()
        assert "object_name_uids" not in keras_private.attributes()
    finally:
        keras_private.clear_session_by_thread(False)
    assert [name for name, _ in heard] == ["dense"]
    assert global_state.threading is threading
    layers.Dense(1)
    keras.backend.clear_session()
    assert "object_name_uids" not in keras_private.attributes()


def test_attributes_are_read_and_replaced():
    layers.Dense(1)
    before = keras_private.attributes()
    counted = dict(before["object_name_uids"])
    assert counted["dense"] >= 1
    layers.Dense(1)
    keras.utils.set_random_seed(0)
    keras.backend.clear_session()
    assert "object_name_uids" not in keras_private.attributes()
    keras_private.replace_attributes(before)
    assert dict(keras_private.attributes()["object_name_uids"]) == counted
    assert keras_private.attributes()[""] is before[""]
    layers.Dense(1)
    keras_private.replace_attributes(before)
    assert dict(keras_private.attributes()["object_name_uids"]) == counted


def test_settings_only():
    before = keras_private.attributes()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        settings = keras_private.settings_only(keras_private.attributes())
        assert settings["dtype_policy"].name == "mixed_bfloat16"
        assert "object_name_uids" not in settings
        assert "global_seed_generator" not in settings
        assert settings[""] is before[""]
    finally:
        keras_private.replace_attributes(before)
    assert keras.config.dtype_policy().name == "float32"


def test_custom_object_scope_is_a_setting():
    with keras.saving.custom_object_scope({"Mine": layers.Dense}):
        assert "Mine" in keras_private.settings_only(keras_private.attributes())["custom_objects_scope_dict"]


def test_tensorflow_random_state(monkeypatch):
    """TensorFlow need not be there: what is read of it is two attributes of its context."""
    generator = types.SimpleNamespace(getstate=lambda: "state", setstate=lambda s: heard.append(s))
    heard = []
    context = types.SimpleNamespace(_seed=1, _rng=generator)
    module = types.SimpleNamespace(context=lambda: context)
    monkeypatch.setitem(sys.modules, "tensorflow.python.eager.context", module)
    restore = keras_private.tensorflow_random_state()
    context._seed, context._rng = 2, None
    restore()
    assert (context._seed, context._rng, heard) == (1, generator, ["state"])
    unused = types.SimpleNamespace(_seed=None)  # as before the first seed is set
    module.context = lambda: unused
    keras_private.tensorflow_random_state()()
    assert unused._seed is None


# --- fit --------------------------------------------------------------------------------------------------------


def test_tensorflow_strategy(monkeypatch):
    assert not keras_private.has_tensorflow_strategy()
    distribute = types.SimpleNamespace(has_strategy=lambda: True)
    monkeypatch.setitem(sys.modules, "tensorflow", types.SimpleNamespace(distribute=distribute))
    assert not keras_private.has_tensorflow_strategy()
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    assert keras_private.has_tensorflow_strategy()


def test_custom_objects_are_those_registered_and_in_scope():
    @keras.saving.register_keras_serializable("names_of_keras")
    class Registered(keras.layers.Layer):
        pass

    with keras.saving.custom_object_scope({"scoped": len}):
        found = keras_private.custom_objects()
        assert (found["names_of_keras>Registered"], found["scoped"]) == (Registered, len)
    assert "scoped" not in keras_private.custom_objects()
    del keras.saving.get_custom_objects()["names_of_keras>Registered"]


def test_without_tensorflow(monkeypatch):
    monkeypatch.setattr(keras_private.session.module_utils.tensorflow, "_available", True)
    keras_private.without_tensorflow()
    assert not keras_private.session.module_utils.tensorflow.available


def test_is_array_data():
    assert keras_private.is_array_data(X, {"a": Y}, None)
    assert not keras_private.is_array_data(batch for batch in X)
    assert not keras_private.is_array_data("text")


def test_split():
    training, held_out = keras_private.split(X, Y, None, 0.5)
    np.testing.assert_array_equal(training[0], X[:3])
    np.testing.assert_array_equal(held_out[1], Y[3:])
    assert training[2] is None
    assert held_out[2] is None


def test_epoch_iterator_is_that_of_fit(monkeypatch):
    iterator = keras_private.epoch_iterator(
        X, Y, batch_size=4, shuffle=False, steps_per_epoch=None, steps_per_execution=1
    )
    assert iterator.num_batches == 2
    shapes = [next(batches)[0].shape for _, _, batches in iterator]
    assert shapes == [(4, 2), (2, 2)]
    made = []
    model = built(fitted=False)
    build = model._symbolic_build
    monkeypatch.setattr(model, "_symbolic_build", lambda iterator: (made.append(iterator), build(iterator)))
    model.fit(X, Y, verbose=0)
    assert type(made[0]) is type(iterator)


def test_batch_iterator():
    iterator = keras_private.batch_iterator(
        np.arange(5, dtype="int32"), batch_size=2, shuffle=False, steps_per_epoch=None, steps_per_execution=1
    )
    with iterator.catch_stop_iteration():
        drawn = [next(batches).tolist() for _, _, batches in iterator]
    assert drawn == [[0, 1], [2, 3], [4]]


def test_number_iterator_warns_where_fit_does():
    iterator = keras_private.batch_iterator(
        np.arange(5, dtype="int32"), batch_size=2, shuffle=False, steps_per_epoch=9, steps_per_execution=1
    )
    with (
        pytest.warns(UserWarning, match="ran out of data"),
        iterator.catch_stop_iteration(),
    ):
        assert len([next(batches) for _, _, batches in iterator]) == 3


def test_adapter_arrays():
    iterator = keras_private.epoch_iterator(X.astype("float64"), {"a": Y}, batch_size=4)
    (x, y), samples = keras_private.adapter_arrays(iterator)
    assert samples == 6
    assert x.dtype == "float32"
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y["a"], Y)
    assert iterator.data_adapter.batch_size == 4


def test_symbolic_build_builds_what_fit_builds():
    model = built(fitted=False)
    assert not model.optimizer.built
    np.random.seed(0)  # noqa: NPY002
    first = keras_private.symbolic_build(
        model, keras_private.epoch_iterator(X, Y, batch_size=4, shuffle=True)
    )
    left = np.random.rand()  # noqa: NPY002
    assert model.optimizer.built
    assert [m.name for m in model.metrics] == ["loss", "compile_metrics"]
    assert len(model.metrics_variables) == 4
    np.random.seed(0)  # noqa: NPY002
    np.random.permutation(6)  # noqa: NPY002
    assert left == np.random.rand()  # noqa: NPY002
    nothing = keras_private.symbolic_build(
        model, keras_private.epoch_iterator(X, Y, batch_size=4, shuffle=True)
    )
    assert nothing is None
    assert model.metrics_variables[0].value == 0
    other = built(fitted=False)
    keras_private.symbolic_build_from(other, first)
    assert other.optimizer.built
    assert [v.path for v in other.metrics_variables] == [v.path for v in model.metrics_variables]


def functional(units, last="sigmoid"):
    i = keras.Input((2,))
    return keras.Model(i, keras.layers.Dense(1, last)(keras.layers.Dense(units)(i)))


@pytest.mark.parametrize(
    "given",
    [
        lambda: {"optimizer": "adam", "loss": "binary_crossentropy", "metrics": ["accuracy", "AUC"]},
        lambda: {"optimizer": "sgd", "loss": ["mse"], "weighted_metrics": ["mae"], "loss_weights": [2.0]},
        lambda: {
            "optimizer": "adafactor",
            "loss": "huber",
            "metrics": [keras.metrics.MeanSquaredError("own")],
        },
        lambda: {"optimizer": "rmsprop", "loss": lambda y, p: (y - p) ** 2},
        lambda: {"optimizer": keras.optimizers.Adam(use_ema=True), "loss": "mse", "metrics": [["mae"]]},
    ],
)
def test_a_model_built_for_its_output_is_what_fit_builds(given):
    found = []
    for untraced in (False, True):
        keras.backend.clear_session()
        keras.utils.set_random_seed(3)
        model = functional(5)
        model.compile(**given())
        iterator = keras_private.epoch_iterator(X, Y, batch_size=4, shuffle=True)
        if untraced:
            keras_private.build_for_output(model, iterator)
        else:
            keras_private.symbolic_build(model, iterator)
        values = [(v.path, v.shape, v.dtype, np.asarray(v.value).tobytes()) for v in all_variables(model)]
        found.append((values, np.random.rand()))  # noqa: NPY002
        assert len(keras_private.only_output(model)) == 2
        assert model.fit(X, Y, batch_size=4, verbose=0).history["loss"]
    assert found[0] == found[1]


def all_variables(model):
    return [*model.variables, *model.optimizer.variables, *model.metrics_variables]


def test_only_output():
    assert keras_private.only_output(functional(2)) == ((1,), "float32")
    assert keras_private.only_output(keras.Sequential([keras.Input((3,)), keras.layers.Flatten()])) == (
        (3,),
        "float32",
    )
    i = keras.Input((1,))
    out = keras.layers.Dense(2)(i)
    for other in (
        keras.Model(i, [out]),
        keras.Model(i, {"a": out}),
        keras.Model(i, [out, i]),
        keras.Sequential([keras.layers.Dense(1)]),
        keras.Model(*[keras.Input((None, 1))] * 2),
        keras.Model(*[keras.Input((1,), batch_size=4)] * 2),
    ):
        assert keras_private.only_output(other) is None


@pytest.mark.parametrize("what", ["train", "test", "logs"])
def test_values_are_put_away_as_while_fit_runs(what):
    model = built()
    before = [np.asarray(v.value) for v in all_variables(model)]
    with keras_private.values_put_away(model, what):
        away = [v._value is None for v in all_variables(model)]
    own = {id(v) for v in model.optimizer.variables}
    if what == "train":
        assert all(away)
    elif what == "logs":
        assert not any(away)
    else:
        assert away == [id(v) not in own for v in all_variables(model)]
    for value, variable in zip(before, all_variables(model), strict=True):
        np.testing.assert_array_equal(variable.value, value)


def test_pending_state_is_assigned_when_a_callback_asks_for_the_model():
    model = built()
    callback = keras.callbacks.Callback()
    callback.set_model(model)
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    before = [[np.array(v.value) for v in group] for group in groups]
    state = tuple([v + np.asarray(1, v.dtype) for v in group] for group in before)
    assert not keras_private.state_is_pending(model)
    keras_private.set_pending_state(model, state)
    assert keras_private.state_is_pending(model)
    np.testing.assert_array_equal(model.trainable_variables[0].value, before[0][0])
    assert callback.model is model
    assert not keras_private.state_is_pending(model)
    for group, arrays in zip(groups, state, strict=True):
        for variable, array in zip(group, arrays, strict=True):
            np.testing.assert_array_equal(variable.value, array)


def test_pending_state_is_assigned_or_dropped_on_request():
    model = built()
    before = [np.array(v.value) for v in model.trainable_variables]
    changed = ([b + 1 for b in before], *([v.value for v in g] for g in (
        model.non_trainable_variables, model.optimizer.variables, model.metrics_variables,
    )))  # fmt: skip
    keras_private.set_pending_state(model, changed)
    keras_private.set_pending_state(model, None)
    assert not keras_private.state_is_pending(model)
    np.testing.assert_array_equal(model.trainable_variables[0].value, before[0])
    keras_private.set_pending_state(model, changed)
    keras_private.assign_pending_state(model)
    np.testing.assert_array_equal(model.trainable_variables[0].value, before[0] + 1)
    keras_private.set_pending_state(model, None)
    model.fit(X, Y, verbose=0)


def test_initial_epoch(tmp_path):
    model = built()
    assert not keras_private.initial_epoch(model)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup.weights.h5")
    heard = []

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            heard.append((epoch, keras_private.initial_epoch(self.model)))
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=3, callbacks=[backup, Stop()], verbose=0)
    again = built()
    with pytest.raises(KeyboardInterrupt):
        again.fit(X, Y, epochs=3, callbacks=[backup, Stop()], verbose=0)
    assert heard[-1] == (2, 2)
    keras_private.set_initial_epoch(again, None)
    again.fit(X, Y, epochs=2, initial_epoch=1, verbose=0)
    assert again.history.epoch == [1]


def test_should_validate():
    model = built(fitted=False)
    assert [keras_private.should_validate(model, epoch, 2) for epoch in range(4)] == [
        False,
        True,
        False,
        True,
    ]
    assert [keras_private.should_validate(model, epoch, [1, 4]) for epoch in range(4)] == [
        True,
        False,
        False,
        True,
    ]
    with pytest.raises(ValueError, match="validation_freq"):
        keras_private.should_validate(model, 0, "often")


def test_trained_variables_and_settable_rates():
    model = built()
    assert [id(v) for v in keras_private.trained_variables(model.optimizer)] == [
        id(v) for v in model.trainable_variables
    ]
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    scaled.build(model.trainable_variables)
    assert len(keras_private.trained_variables(scaled)) == len(model.trainable_variables)
    assert keras_private.compiled._unwrapped(scaled) is scaled.inner_optimizer
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    assert keras_private.has_settable_learning_rate(scaled)
    assert not keras_private.has_settable_learning_rate(keras.optimizers.SGD(schedule))


def test_metrics_built_like_others():
    """The whole of it is in test_copies; here, that Keras's own attributes are still those."""
    inputs = keras.Input((2,))
    outputs = [layers.Dense(1, name=name)(inputs) for name in "ab"]

    def compiled():
        model = keras.Model(inputs, outputs)
        model.compile("sgd", ["mse", "mae"], metrics=[["mse"], None], weighted_metrics=[None, ["mae"]])
        return model

    x, y = np.zeros((4, 2)), [np.zeros((4, 1)), np.zeros((4, 1))]
    old, new = compiled(), compiled()
    old.train_on_batch(x, y)
    copies = {}

    def counterpart(thing):
        return copies.setdefault(id(thing), type(thing).from_config(thing.get_config()))

    keras_private.build_metrics_like(old, new, counterpart)
    assert [m.name for m in new.metrics] == [m.name for m in old.metrics]
    assert len(new.metrics_variables) == len(old.metrics_variables) == 10
    assert not {id(v) for v in new.metrics_variables} & {id(v) for v in old.metrics_variables}
    assert set(new.get_metrics_result()) == set(old.get_metrics_result())
    new.train_on_batch(x, y)
    assert keras_private.compiled._metrics_list_like(None, counterpart) is None
    metric = keras.metrics.Mean()
    assert type(keras_private.compiled._metrics_list_like(metric, counterpart)) is keras.metrics.Mean


def test_what_keras_changes_in_place_is_copied():
    found = {"a": [1], "b": 2}
    assert keras_private.session._own(found["a"]) == [1]
    assert keras_private.session._own(found["a"]) is not found["a"]
    assert keras_private.session._own(found["b"]) == 2


def test_text_is_a_symbol_where_a_model_is_built():
    words, numbers = np.array([["a", "b"]], object), np.ones((1, 2))
    symbols = keras_private.training._words_as_symbols((words, {"x": numbers, "y": words.astype(str)}, None))
    for symbol in (symbols[0], symbols[1]["y"]):
        assert isinstance(symbol, keras.KerasTensor)
        assert (symbol.shape, symbol.dtype) == ((1, 2), "string")
    assert symbols[1]["x"] is numbers
    assert symbols[2] is None


def test_a_tensorboard_that_profiles():
    tensorboard = keras.callbacks.TensorBoard()
    assert not keras_private.profiles(tensorboard)
    tensorboard._init_profile_batch((0, 3))  # as its __init__ does, on a Python that can
    assert keras_private.profiles(tensorboard)


def test_own_training_loop():
    """What `fit` calls of a trainer is known: another Keras may call more of it."""

    def model_with(name):
        made = type(
            "Mine", (keras.Sequential,), {name: lambda self, *a, **k: getattr(super(), name)(*a, **k)}
        )
        return made([keras.Input((1,)), keras.layers.Dense(1)])

    for name in (
        "fit",
        "evaluate",
        "make_train_function",
        "make_test_function",
        "_symbolic_build",
        "jax_state_sync",
    ):
        assert keras_private.own_training_loop(model_with(name)) == name
    for name in (
        "train_step",
        "test_step",
        "compute_loss",
        "compute_metrics",
        "reset_metrics",
        "predict",
        "call",
    ):
        assert keras_private.own_training_loop(model_with(name)) is None
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    assert keras_private.own_training_loop(model) is None
    model.fit = lambda *a, **k: None
    assert keras_private.own_training_loop(model) == "fit"


def test_a_method_of_keras_that_was_replaced_is_an_own_training_loop(monkeypatch):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    home = next(cls for cls in keras.Model.__mro__ if "evaluate" in vars(cls))
    with fl.guard():  # wraps `fit`, and calls it
        assert keras_private.own_training_loop(model) is None
    assert not keras_private.training._is_replaced(home.evaluate)
    monkeypatch.setattr(home, "evaluate", lambda *a, **k: None)
    assert keras_private.own_training_loop(model) == "evaluate"
    assert keras_private.own_training_loop(model, validates=False) is None


def test_what_trainers_have_is_known():
    """A method that is new here has to be sorted: is it called on lanes, or is an own version of it lost there?"""
    trainers = [cls for cls in keras.Model.__mro__ if cls.__name__.endswith("Trainer")]
    names = {name for cls in trainers for name in vars(cls) if not name.startswith("__")}
    loop = names - keras_private.training._CALLED_ON_LANES - keras_private.training._NOT_CALLED_BY_FIT
    assert loop <= LOOP


LOOP = {
    "_aggregate_additional_loss",
    "_assert_compile_called",
    "_check_sharding_consistency",
    "_flatten_metrics_in_order",
    "_get_jax_state",
    "_get_metrics_result_or_logs",
    "_get_state_sharding_spec",
    "_make_function",
    "_purge_model_variables",
    "_resolve_auto_jit_compile",
    "_should_eval",
    "_symbolic_build",
    "_warn_if_trainable_state_changed",
    "evaluate",
    "fit",
    "jax_state_sync",
    "jit_compile",
    "make_test_function",
    "make_train_function",
    "run_eagerly",
}
"""What `fit` calls, or reads, of a trainer, and lanes do otherwise."""


def test_configuration():
    before = keras_private.configuration()
    assert {"floatx", "epsilon", "image_data_format", "dtype_policy", "flash_attention"} <= set(before)
    epsilon = keras.config.epsilon()
    keras.config.set_epsilon(1e-3)
    try:
        assert keras_private.configuration()["epsilon"] == "0.001"
    finally:
        keras.config.set_epsilon(epsilon)
    assert keras_private.configuration() == before


def test_the_inputs_and_outputs_of_graphs():
    left, right = keras.Input((2,), name="left"), keras.Input((2,), name="right")
    named = {"b": layers.Dense(1, name="first")(left), "a": layers.Dense(2, name="second")(right)}
    graph = keras.Model({"left": left, "right": right}, named)

    class Own(keras.Model):
        pass

    assert keras_private.is_graph(graph)
    assert keras_private.is_graph(built(fitted=False))
    assert not keras_private.is_graph(Own(left, layers.Dense(1)(left)))
    assert set(keras_private.structure_of_inputs(graph)) == {"left", "right"}
    names, keys = keras_private.names_of_outputs(graph), keras_private.keys_of_outputs(graph)
    assert keys == ["a", "b"]
    # In this order, Keras flattens the outputs, and gives them to losses.
    widths = [out.shape[-1] for out in keras.tree.flatten(graph({"left": X, "right": X}))]
    assert widths == [2, 1]
    assert len(names) == 2
    assert keras_private.keys_of_outputs(wired()) == [None]
    model = wired()
    assert keras_private.names_of_outputs(model) == model.output_names


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_loaders_of_models(tmp_path, monkeypatch, ending):
    path = str(tmp_path / f"model.{ending}")
    built().save(path)
    seen = []
    for module, name in keras_private.loaders_of_models():
        original = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, _f=original, **k: (seen.append(a[0]), _f(*a, **k))[1])
    keras.models.load_model(path, compile=False)
    assert seen == [path]


def test_a_variables_shape_is_put_and_taken_back():
    layer = keras.layers.Dense(3)
    layer.build((None, 2))
    undo = keras_private.put_shape(layer.kernel, (2, 5))
    assert tuple(layer.kernel.shape) == (2, 5)
    assert layer.kernel.value.shape == (2, 3)  # only what a trace sees differs
    undo()
    assert tuple(layer.kernel.shape) == (2, 3)


def test_every_function_is_tried_here():
    with open(__file__, encoding="utf-8") as source:
        text = source.read()
    names = [name for name in keras_private.__all__ if callable(getattr(keras_private, name))]
    assert [name for name in names if f"keras_private.{name}(" not in text] == []


def test_given_to_callbacks():
    callback = keras.callbacks.Callback()
    built(fitted=False).fit(X, Y, verbose=0, callbacks=[callback])
    assert set(vars(callback)) | {"model"} == keras_private.GIVEN_TO_CALLBACKS
    assert callback.model is not None


# --- initial values -----------------------------------------------------------------------------------------


class Noted:
    """Does what Keras does, and notes it."""

    def __init__(self):
        self.seeds, self.variables, self.kinds, self.looks = [], [], [], 0

    def seed_made(self, seed):
        self.seeds.append(seed)

    def initialize(self, variable, initializer, keras_own):
        self.variables.append(variable)
        keras_own(initializer)

    def look(self):
        self.looks += 1

    def draw(self, kind, keras_own, shape, *args, **kwargs):
        self.kinds.append(kind)
        return keras_own(shape, *args, **kwargs)


INITIALIZERS = ("random_uniform", "random_normal", "truncated_normal", "glorot_uniform", "he_normal")


def test_drawing_by():
    noted = Noted()
    kept = {
        kind: getattr(keras.src.backend.random, kind) for kind in ("uniform", "normal", "truncated_normal")
    }
    keras.utils.set_random_seed(3)
    with keras_private.drawing_by(noted):
        dense = [layers.Dense(2, kernel_initializer=name) for name in INITIALIZERS]
        dropout = layers.Dropout(0.5)
        for layer in dense:
            layer.build((None, 4))
        assert not keras_private.draws_itself()
        assert noted.looks == 0
        assert dense[0].kernel.value is keras_private.value_held(dense[0].kernel)
        assert noted.looks == 1
        thread = threading.Thread(target=lambda: layers.Dense(1).build((None, 1)))
        thread.start()
        thread.join()
    state = dropout.seed_generator.state
    assert noted.variables == [state, *(w for d in dense for w in d.weights)]
    assert noted.seeds == [d.kernel_initializer.seed for d in dense] + [int(state.value[0])]
    assert noted.kinds == ["uniform", "normal", "truncated_normal", "uniform", "truncated_normal"]
    assert {kind: getattr(keras.src.backend.random, kind) for kind in kept} == kept
    assert keras_private.draws_itself()
    layers.Dense(1).build((None, 1))
    assert len(noted.seeds) == 6


def test_draws_from_a_number():
    own = keras.initializers.GlorotUniform

    class Foreign(own):
        pass

    assert keras_private.draws_from_a_number(own(seed=1))
    assert not keras_private.draws_from_a_number(own(seed=keras.random.SeedGenerator(1)))
    assert not keras_private.draws_from_a_number(Foreign(seed=1))
    assert not keras_private.draws_from_a_number(keras.initializers.Zeros())


def test_value_held():
    variable = keras.Variable([1.0])
    assert keras_private.value_held(variable) is keras_private.value_held(variable)
    before = keras_private.value_held(variable)
    variable.assign([1.0])
    assert keras_private.value_held(variable) is not before


def test_has_drawn_globally():
    keras.utils.set_random_seed(1)
    assert not keras_private.has_drawn_globally(keras_private.attributes())
    keras.random.normal((2,))
    assert keras_private.has_drawn_globally(keras_private.attributes())


def test_name_counters():
    with Session(0):
        assert keras_private.name_counters() == {}
        names = [keras.layers.Dropout(0.1).name for _ in range(2)]
        found = keras_private.name_counters()
        assert keras.layers.Dropout(0.1).name == f"dropout_{found['dropout']}"
    assert names == ["dropout", "dropout_1"]


def test_with_seed():
    keras.utils.set_random_seed(1)
    expected = keras_private.attributes()
    keras.utils.set_random_seed(2)
    found = keras_private.with_seed(keras_private.attributes(), 1)
    counters = keras_private.settings_only(expected)
    assert {k: v for k, v in found.items() if k not in counters} == {
        k: v for k, v in expected.items() if k not in counters
    }
