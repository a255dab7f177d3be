"""Every private name of Keras that Fairlane uses still means what `fairlane._keras` takes it to mean.

When a new Keras makes one of these fail, `_keras.py` is the place to mend. Tried with Keras 3.13.2 (JAX 0.7.2)
and 3.15.1 (JAX 0.10.2).
"""

from __future__ import annotations

import sys
import types

import keras
import numpy as np
import pytest
from keras import layers

from fairlane import _keras

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
    assert "3.13" in _keras.__doc__
    assert "3.15" in _keras.__doc__
    oldest = min(tuple(map(int, v.split(".")[:2])) for v in TRIED)
    here = tuple(map(int, keras.__version__.split(".")[:2]))
    assert here >= oldest


# --- models -------------------------------------------------------------------------------------------------


def test_is_functional():
    assert _keras.is_functional(wired())
    assert not _keras.is_functional(built(fitted=False))
    assert not _keras.is_functional(layers.Dense(1))


def test_all_layers():
    inner = wired()
    model = keras.Sequential([keras.Input((2,)), inner])
    assert {model, inner, inner.layers[1]} <= set(_keras.all_layers(model))


def test_sublayers():
    model = built(fitted=False)
    assert [type(layer) for layer in _keras.sublayers(model)] == [
        layers.InputLayer,
        layers.Dropout,
        layers.Dense,
    ]
    assert _keras.sublayers(layers.Dense(1)) == []
    assert _keras.sublayers(None) == []


def test_own_variables():
    dense = layers.Dense(3)
    dense.build((None, 2))
    assert [tuple(v.shape) for v in _keras.own_variables(dense)] == [(2, 3), (3,)]
    norm = layers.BatchNormalization()
    norm.build((None, 2))
    assert len(_keras.own_variables(norm)) == 4
    assert _keras.own_variables(built()) == []


def test_names_of_attributes():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.out = layers.Dense(1)
            self.factor = 2.0

        def call(self, x):
            return self.factor * self.out(x)

    names = _keras.names_of_attributes()
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
    assert _keras.own_metrics(layer) == [layer.counted]


def test_own_seed_generators():
    dropout = layers.Dropout(0.5)
    assert _keras.own_seed_generators(dropout) == [dropout.seed_generator]
    assert _keras.own_seed_generators(layers.Dense(1)) == []


def test_compile_arguments():
    model = built(fitted=False)
    arguments = _keras.compile_arguments(model)
    assert arguments["optimizer"] is model.optimizer
    assert arguments["loss"] == "mse"
    assert arguments["metrics"] == ["mae"]
    assert _keras.compile_arguments(wired()) == {}


def test_weight_decay():
    model = built()
    optimizer, variables = model.optimizer, model.trainable_variables
    assert _keras.excluded_from_weight_decay(optimizer, variables) == ([], [])
    assert _keras.weight_decays(optimizer, variables) == [True, True]
    optimizer = keras.optimizers.AdamW(0.1)
    optimizer.exclude_from_weight_decay(var_list=variables[:1], var_names=["bias"])
    assert _keras.excluded_from_weight_decay(optimizer, variables) == ([0], ["bias"])
    assert _keras.weight_decays(optimizer, variables) == [False, False]


def test_input_layer():
    model = wired()
    assert _keras.input_layer(model.inputs[0]) is model.layers[0]
    assert _keras.input_layer(model.inputs[0]).name == "inputs"


def test_copy_operation():
    model = wired()
    add = model.operations[-1]
    copied = _keras.copy_operation(add)
    assert type(copied) is type(add)
    assert copied is not add
    inputs = keras.Input((1,))
    again = keras.Model(inputs, copied(inputs, 1.0))
    assert again.operations[-1] is copied
    assert float(again(np.ones((1, 1)))[0, 0]) == 2.0
    assert model.operations[-1] is add


# --- hidden state ---------------------------------------------------------------------------------------------


def test_attributes_are_read_and_replaced():
    layers.Dense(1)
    before = _keras.attributes()
    counted = dict(before["object_name_uids"])
    assert counted["dense"] >= 1
    layers.Dense(1)
    keras.utils.set_random_seed(0)
    keras.backend.clear_session()
    assert "object_name_uids" not in _keras.attributes()
    _keras.replace_attributes(before)
    assert dict(_keras.attributes()["object_name_uids"]) == counted
    assert _keras.attributes()[""] is before[""]
    layers.Dense(1)
    _keras.replace_attributes(before)
    assert dict(_keras.attributes()["object_name_uids"]) == counted


def test_settings_only():
    before = _keras.attributes()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        settings = _keras.settings_only(_keras.attributes())
        assert settings["dtype_policy"].name == "mixed_bfloat16"
        assert "object_name_uids" not in settings
        assert "global_seed_generator" not in settings
        assert settings[""] is before[""]
    finally:
        _keras.replace_attributes(before)
    assert keras.config.dtype_policy().name == "float32"


def test_custom_object_scope_is_a_setting():
    with keras.saving.custom_object_scope({"Mine": layers.Dense}):
        assert "Mine" in _keras.settings_only(_keras.attributes())["custom_objects_scope_dict"]


def test_tensorflow_random_state(monkeypatch):
    """TensorFlow need not be there: what is read of it is two attributes of its context."""
    generator = types.SimpleNamespace(getstate=lambda: "state", setstate=lambda s: heard.append(s))
    heard = []
    context = types.SimpleNamespace(_seed=1, _rng=generator)
    module = types.SimpleNamespace(context=lambda: context)
    monkeypatch.setitem(sys.modules, "tensorflow.python.eager.context", module)
    restore = _keras.tensorflow_random_state()
    context._seed, context._rng = 2, None
    restore()
    assert (context._seed, context._rng, heard) == (1, generator, ["state"])
    unused = types.SimpleNamespace(_seed=None)  # as before the first seed is set
    module.context = lambda: unused
    _keras.tensorflow_random_state()()
    assert unused._seed is None


# --- fit --------------------------------------------------------------------------------------------------------


def test_tensorflow_strategy(monkeypatch):
    assert not _keras.has_tensorflow_strategy()
    distribute = types.SimpleNamespace(has_strategy=lambda: True)
    monkeypatch.setitem(sys.modules, "tensorflow", types.SimpleNamespace(distribute=distribute))
    assert not _keras.has_tensorflow_strategy()
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    assert _keras.has_tensorflow_strategy()


def test_custom_objects_are_those_registered_and_in_scope():
    @keras.saving.register_keras_serializable("names_of_keras")
    class Registered(keras.layers.Layer):
        pass

    with keras.saving.custom_object_scope({"scoped": len}):
        found = _keras.custom_objects()
        assert (found["names_of_keras>Registered"], found["scoped"]) == (Registered, len)
    assert "scoped" not in _keras.custom_objects()
    del keras.saving.get_custom_objects()["names_of_keras>Registered"]


def test_without_tensorflow(monkeypatch):
    monkeypatch.setattr(_keras.module_utils.tensorflow, "_available", True)
    _keras.without_tensorflow()
    assert not _keras.module_utils.tensorflow.available


def test_is_array_data():
    assert _keras.is_array_data(X, {"a": Y}, None)
    assert not _keras.is_array_data(batch for batch in X)
    assert not _keras.is_array_data("text")


def test_split():
    training, held_out = _keras.split(X, Y, None, 0.5)
    np.testing.assert_array_equal(training[0], X[:3])
    np.testing.assert_array_equal(held_out[1], Y[3:])
    assert training[2] is None
    assert held_out[2] is None


def test_epoch_iterator_is_that_of_fit(monkeypatch):
    iterator = _keras.epoch_iterator(
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
    iterator = _keras.batch_iterator(
        np.arange(5, dtype="int32"), batch_size=2, shuffle=False, steps_per_epoch=None, steps_per_execution=1
    )
    with iterator.catch_stop_iteration():
        drawn = [next(batches).tolist() for _, _, batches in iterator]
    assert drawn == [[0, 1], [2, 3], [4]]


def test_number_iterator_warns_where_fit_does():
    iterator = _keras.batch_iterator(
        np.arange(5, dtype="int32"), batch_size=2, shuffle=False, steps_per_epoch=9, steps_per_execution=1
    )
    with (
        pytest.warns(UserWarning, match="ran out of data"),
        iterator.catch_stop_iteration(),
    ):
        assert len([next(batches) for _, _, batches in iterator]) == 3


def test_adapter_arrays():
    iterator = _keras.epoch_iterator(X.astype("float64"), {"a": Y}, batch_size=4)
    (x, y), samples = _keras.adapter_arrays(iterator)
    assert samples == 6
    assert x.dtype == "float32"
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y["a"], Y)
    assert iterator.data_adapter.batch_size == 4


def test_symbolic_build_builds_what_fit_builds():
    model = built(fitted=False)
    assert not model.optimizer.built
    np.random.seed(0)  # noqa: NPY002
    first = _keras.symbolic_build(model, _keras.epoch_iterator(X, Y, batch_size=4, shuffle=True))
    left = np.random.rand()  # noqa: NPY002
    assert model.optimizer.built
    assert [m.name for m in model.metrics] == ["loss", "compile_metrics"]
    assert len(model.metrics_variables) == 4
    np.random.seed(0)  # noqa: NPY002
    np.random.permutation(6)  # noqa: NPY002
    assert left == np.random.rand()  # noqa: NPY002
    nothing = _keras.symbolic_build(model, _keras.epoch_iterator(X, Y, batch_size=4, shuffle=True))
    assert nothing is None
    assert model.metrics_variables[0].value == 0
    other = built(fitted=False)
    _keras.symbolic_build_from(other, first)
    assert other.optimizer.built
    assert [v.path for v in other.metrics_variables] == [v.path for v in model.metrics_variables]


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
    assert not _keras.state_is_pending(model)
    _keras.set_pending_state(model, state)
    assert _keras.state_is_pending(model)
    np.testing.assert_array_equal(model.trainable_variables[0].value, before[0][0])
    assert callback.model is model
    assert not _keras.state_is_pending(model)
    for group, arrays in zip(groups, state, strict=True):
        for variable, array in zip(group, arrays, strict=True):
            np.testing.assert_array_equal(variable.value, array)


def test_pending_state_is_assigned_or_dropped_on_request():
    model = built()
    before = [np.array(v.value) for v in model.trainable_variables]
    changed = ([b + 1 for b in before], *([v.value for v in g] for g in (
        model.non_trainable_variables, model.optimizer.variables, model.metrics_variables,
    )))  # fmt: skip
    _keras.set_pending_state(model, changed)
    _keras.set_pending_state(model, None)
    assert not _keras.state_is_pending(model)
    np.testing.assert_array_equal(model.trainable_variables[0].value, before[0])
    _keras.set_pending_state(model, changed)
    _keras.assign_pending_state(model)
    np.testing.assert_array_equal(model.trainable_variables[0].value, before[0] + 1)
    _keras.set_pending_state(model, None)
    model.fit(X, Y, verbose=0)


def test_initial_epoch(tmp_path):
    model = built()
    assert not _keras.initial_epoch(model)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup.weights.h5")
    heard = []

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            heard.append((epoch, _keras.initial_epoch(self.model)))
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=3, callbacks=[backup, Stop()], verbose=0)
    again = built()
    with pytest.raises(KeyboardInterrupt):
        again.fit(X, Y, epochs=3, callbacks=[backup, Stop()], verbose=0)
    assert heard[-1] == (2, 2)
    _keras.set_initial_epoch(again, None)
    again.fit(X, Y, epochs=2, initial_epoch=1, verbose=0)
    assert again.history.epoch == [1]


def test_should_validate():
    model = built(fitted=False)
    assert [_keras.should_validate(model, epoch, 2) for epoch in range(4)] == [False, True, False, True]
    assert [_keras.should_validate(model, epoch, [1, 4]) for epoch in range(4)] == [True, False, False, True]
    with pytest.raises(ValueError, match="validation_freq"):
        _keras.should_validate(model, 0, "often")


def test_trained_variables_and_settable_rates():
    model = built()
    assert [id(v) for v in _keras.trained_variables(model.optimizer)] == [
        id(v) for v in model.trainable_variables
    ]
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    scaled.build(model.trainable_variables)
    assert len(_keras.trained_variables(scaled)) == len(model.trainable_variables)
    assert _keras._unwrapped(scaled) is scaled.inner_optimizer
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    assert _keras.has_settable_learning_rate(scaled)
    assert not _keras.has_settable_learning_rate(keras.optimizers.SGD(schedule))


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

    _keras.build_metrics_like(old, new, counterpart)
    assert [m.name for m in new.metrics] == [m.name for m in old.metrics]
    assert len(new.metrics_variables) == len(old.metrics_variables) == 10
    assert not {id(v) for v in new.metrics_variables} & {id(v) for v in old.metrics_variables}
    assert set(new.get_metrics_result()) == set(old.get_metrics_result())
    new.train_on_batch(x, y)
    assert _keras._metrics_list_like(None, counterpart) is None
    metric = keras.metrics.Mean()
    assert type(_keras._metrics_list_like(metric, counterpart)) is keras.metrics.Mean


def test_what_keras_changes_in_place_is_copied():
    found = {"a": [1], "b": 2}
    assert _keras._own(found["a"]) == [1]
    assert _keras._own(found["a"]) is not found["a"]
    assert _keras._own(found["b"]) == 2


def test_text_is_a_symbol_where_a_model_is_built():
    words, numbers = np.array([["a", "b"]], object), np.ones((1, 2))
    symbols = _keras._words_as_symbols((words, {"x": numbers, "y": words.astype(str)}, None))
    for symbol in (symbols[0], symbols[1]["y"]):
        assert isinstance(symbol, keras.KerasTensor)
        assert (symbol.shape, symbol.dtype) == ((1, 2), "string")
    assert symbols[1]["x"] is numbers
    assert symbols[2] is None


def test_a_tensorboard_that_profiles():
    tensorboard = keras.callbacks.TensorBoard()
    assert not _keras.profiles(tensorboard)
    tensorboard._init_profile_batch((0, 3))  # as its __init__ does, on a Python that can
    assert _keras.profiles(tensorboard)


def test_every_function_is_tried_here():
    functions = {
        name
        for name, value in vars(_keras).items()
        if isinstance(value, types.FunctionType) and value.__module__ == _keras.__name__
    }
    with open(__file__, encoding="utf-8") as source:
        text = source.read()
    assert [name for name in sorted(functions) if f"_keras.{name}(" not in text] == []
