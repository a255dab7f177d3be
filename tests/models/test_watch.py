"""``fairlane.guard``: what it warns of, what it leaves alone, and that it is gone when it is off."""

import gc
import os
import sys
import warnings
import weakref
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import _processes
import fairlane as fl
from fairlane import AlreadyTrainedWarning
from fairlane.models.guard import ledger

X = np.linspace(-1, 1, 24, dtype="float32").reshape(12, 2)
Y = X.sum(axis=1, keepdims=True)


def build(name: str = "net", **layer: Any) -> keras.Model:
    return keras.Sequential([keras.Input((2,)), layers.Dense(1, **layer)], name=name)


def compiled(name: str = "net", optimizer: Any = "sgd", **more: Any) -> keras.Model:
    model = build(name)
    model.compile(optimizer, "mse", **more)
    return model


def fit(model: keras.Model, epochs: int = 1, **more: Any) -> Any:
    return model.fit(X, Y, epochs=epochs, verbose=0, **more)


@pytest.fixture
def told():
    """The guard is on; the warnings it has given so far."""
    with warnings.catch_warnings(record=True) as caught, fl.guard():
        warnings.simplefilter("always")
        yield lambda: [str(w.message) for w in caught if w.category is AlreadyTrainedWarning]


# --- the mistake --------------------------------------------------------------------------------------


def test_the_alias(told):
    """The program of the design page: one network, trained twice as long, under two names."""
    model = build("mnist")

    def train(learning_rate):
        model_copy = model
        model_copy.compile(keras.optimizers.RMSprop(learning_rate), "mse")
        return fit(model_copy, epochs=3)

    train(1e-3)
    assert told() == []
    train(1e-4)
    (message,) = told()
    assert "Model 'mnist' has been trained for 3 epochs, last at " in message
    assert "was compiled again at " in message
    assert "does not reset its weights" in message
    assert "this training continues from those weights" in message
    assert "test_watch.py:" in message
    for way in ("fairlane.fresh(model)", "fairlane.copy(model)", "with fairlane.continuing(model)"):
        assert way in message
    train(1e-5)
    assert len(told()) == 1  # once for a mistake


def test_the_warning_points_at_the_line_that_compiles():
    model = compiled()
    fit(model)
    with fl.guard(), pytest.warns(AlreadyTrainedWarning) as caught:
        model.compile("adam", "mse")
        fit(model)
    (warning,) = [w for w in caught if w.category is AlreadyTrainedWarning]
    assert warning.filename == __file__
    assert (
        Path(__file__).read_text().splitlines()[warning.lineno - 1].strip() == 'model.compile("adam", "mse")'
    )


def test_training_before_the_guard_was_on_is_seen_from_the_history():
    model = compiled()
    fit(model, epochs=4)
    with (
        fl.guard(),
        pytest.warns(AlreadyTrainedWarning, match="has been trained for 4 epochs, and was compiled"),
    ):
        model.compile("adam", "mse")
        fit(model)


def test_an_interrupted_training_counts_as_far_as_it_came(told):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    model = compiled()
    with pytest.raises(KeyboardInterrupt):
        fit(model, epochs=5, callbacks=[Stop()])
    model.compile("adam", "mse")
    fit(model)
    assert "trained for 1 epoch, " in told()[0] or "trained for 2 epochs" in told()[0]


def test_a_fit_that_fails_before_it_trains_does_not_count(told):
    model = compiled()
    fit(model, epochs=2)
    with pytest.raises(ValueError, match=r"cardinality|same"):
        model.fit(X, Y[:-1], verbose=0)
    model.compile("adam", "mse")
    fit(model)
    (message,) = told()
    assert "has been trained for 2 epochs" in message


def test_an_optimizer_of_two_models(told):
    optimizer = keras.optimizers.SGD()
    compiled("first", optimizer)
    compiled("second", optimizer)
    (message,) = told()
    assert "The optimizer SGD of model 'second' served model 'first' before, at " in message
    assert "Make a new SGD for each model" in message


def test_an_optimizer_whose_first_model_is_gone(told):
    optimizer = keras.optimizers.SGD()
    compiled("first", optimizer)
    gc.collect()
    compiled("second", optimizer)
    assert len(told()) == 1


def test_a_metric_of_two_models(told):
    metric = keras.metrics.MeanAbsoluteError()
    compiled("first", metrics=[metric])
    compiled("second", metrics={"dense": [metric]} and [metric])
    (message,) = told()
    assert "The metric MeanAbsoluteError of model 'second' served model 'first'" in message


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.callbacks.EarlyStopping("loss"),
        lambda: keras.callbacks.ReduceLROnPlateau("loss"),
        lambda: keras.callbacks.History(),
    ],
)
@pytest.mark.parametrize("positional", [False, True])
def test_a_callback_of_two_models(told, make, positional):
    callback = make()
    for name in ("first", "second"):
        model = compiled(name)
        if positional:
            model.fit(X, Y, 4, 1, 0, [callback])
        else:
            fit(model, callbacks=callback)
    (message,) = told()
    assert f"The callback {type(callback).__name__} of model 'second' served model 'first' before" in message


def test_an_initializer_of_two_layers(told):
    initializer = keras.initializers.GlorotUniform()
    a, b = (layers.Dense(2, kernel_initializer=initializer, name=name) for name in "ab")
    model = keras.Sequential([keras.Input((2,)), a, b])
    assert np.array_equal(*(layer.get_weights()[0] for layer in (a, b)))  # the leak itself
    model.compile("sgd", "mse")
    (message,) = told()
    assert "One GlorotUniform object initializes layers 'a', 'b'" in message


def test_an_own_compile_and_fit_are_watched_too(told):
    class Own(keras.Sequential):
        def compile(self, *args, **kwargs):
            super().compile(*args, **kwargs)

        def fit(self, *args, **kwargs):
            return super().fit(*args, **kwargs)

    model = Own([keras.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    fit(model)
    model.compile("sgd", "mse")
    fit(model)
    assert len(told()) == 1


# --- what is no mistake -------------------------------------------------------------------------------


def test_fine_tuning_that_is_marked(told):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(3), layers.Dense(1)])
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    fit(model)
    with fl.continuing(model):
        model.layers[0].trainable = True
        model.compile(keras.optimizers.SGD(1e-4), "mse")
        fit(model)
    assert told() == []


def test_only_compiling_need_be_marked(told):
    model = compiled()
    fit(model)
    with fl.continuing(model):
        model.compile("adam", "mse")
    fit(model)
    fit(model)
    assert told() == []


def test_marking_one_model_does_not_mark_others(told):
    model, other = compiled("a"), compiled("b")
    fit(model)
    fit(other)
    with fl.continuing(model):
        other.compile("adam", "mse")
    fit(other)
    assert len(told()) == 1


def test_fit_again_without_compile(told):
    model = compiled()
    for _ in range(3):
        fit(model)
    assert told() == []


def test_a_loaded_model_that_is_trained_on(told, tmp_path):
    model = compiled()
    fit(model)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    fit(loaded)
    again = keras.models.load_model(tmp_path / "m.keras")
    again.compile("adam", "mse")
    fit(again)
    assert told() == []


@pytest.mark.parametrize("recompile", [False, True])
def test_a_gan_s_networks_take_turns(told, recompile):
    discriminator = keras.Sequential([keras.Input((2,)), layers.Dense(1)], name="d")
    discriminator.compile("sgd", "mse")
    generator = keras.Sequential([keras.Input((2,)), layers.Dense(2)], name="g")
    inputs = keras.Input((2,))
    gan = keras.Model(inputs, discriminator(generator(inputs)), name="gan")
    gan.compile("sgd", "mse")
    for _ in range(3):
        discriminator.trainable = True
        if recompile:
            discriminator.compile("sgd", "mse")
        fit(discriminator)
        discriminator.trainable = False
        if recompile:
            gan.compile("sgd", "mse")
        fit(gan)
    assert told() == []


def test_models_built_afresh_in_a_loop(told):
    for rate in (0.1, 0.01, 0.001):
        model = compiled(optimizer=keras.optimizers.SGD(rate), metrics=[keras.metrics.MeanSquaredError()])
        fit(model, callbacks=[keras.callbacks.EarlyStopping("loss")])
    assert told() == []


def test_compiled_twice_before_any_training(told):
    model = compiled()
    model.compile("adam", "mse")
    fit(model)
    assert told() == []


def test_fresh_and_copied_models(told):
    model = compiled(metrics=[keras.metrics.MeanSquaredError()])
    fit(model)
    for other in (fl.fresh(model), fl.copy(model)):
        fit(other)
    assert told() == []


def test_what_fairlane_trains_itself(told):
    def builder(rate):
        return compiled(optimizer=keras.optimizers.SGD(rate))

    for engine in ("lanes", "reference"):
        fl.compare(builder, {"rate": [0.1, 0.01]}, X, Y, engine=engine, verbose=0)
    fl.compare(compiled(), {"optimizer.learning_rate": [0.1, 0.2]}, X, Y, verbose=0)
    fl.fit([compiled("a"), compiled("b")], X, Y, verbose=0)
    assert told() == []


def test_initializers_that_may_be_shared(told):
    zeros = keras.initializers.Zeros()
    model = keras.Sequential(
        [keras.Input((2,)), *(layers.Dense(2, kernel_initializer=zeros) for _ in "ab"), layers.GRU(2)][:3]
    )
    model.compile("sgd", "mse")
    names = keras.Sequential([layers.Dense(2, kernel_initializer="he_normal") for _ in "ab"])
    names.compile("sgd", "mse")
    attention = layers.MultiHeadAttention(2, 2, kernel_initializer=keras.initializers.HeNormal())
    inputs = keras.Input((3, 4))
    both = layers.Bidirectional(layers.LSTM(2, kernel_initializer=keras.initializers.HeNormal()))(inputs)
    keras.Model(inputs, [attention(inputs, inputs), both]).compile("sgd", ["mse", "mse"])
    assert told() == []


def test_stateless_callbacks_may_serve_many(told):
    callback = keras.callbacks.LambdaCallback()
    for name in ("first", "second"):
        fit(compiled(name), callbacks=[callback])
    assert told() == []


def test_a_fit_inside_a_fit_is_its_own_business(told):
    student = compiled("student")

    class Teaches(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            fit(student)

    fit(compiled("teacher"), epochs=2, callbacks=[Teaches()])
    assert told() == []


# --- on and off ---------------------------------------------------------------------------------------


def keras_as_found() -> list[Any]:
    return [keras.Model.compile, keras.Model.fit, "compile" in vars(keras.Model), "fit" in vars(keras.Model)]


def test_it_undoes_itself_completely():
    before = keras_as_found()
    with fl.guard():
        assert keras_as_found() != before
        with fl.guard():
            pass
        assert fl.guard.enabled
    assert keras_as_found() == before
    fl.guard.enable()
    fl.guard.enable()
    assert fl.guard.enabled
    fl.guard.disable()
    assert not fl.guard.enabled
    assert keras_as_found() == before
    fl.guard.disable()
    with pytest.raises(ZeroDivisionError), fl.guard():
        raise ZeroDivisionError
    assert keras_as_found() == before


def test_off_it_says_nothing():
    model = compiled()
    fit(model)
    with fl.guard():
        pass
    model.compile("adam", "mse")
    fit(model)


def test_enabling_again_begins_again():
    model = compiled()

    def again():
        model.compile("adam", "mse")
        fit(model)

    fit(model)
    try:
        for _ in range(2):
            fl.guard.enable()
            with pytest.warns(AlreadyTrainedWarning):
                again()
            again()
    finally:
        fl.guard.disable()


def test_results_and_errors_are_keras_own(told):
    keras.utils.set_random_seed(1)
    watched = fit(compiled(), epochs=2).history
    fl.guard.disable()
    keras.utils.set_random_seed(1)
    assert fit(compiled(), epochs=2).history == watched
    fl.guard.enable()
    with pytest.raises(ValueError, match="Could not interpret optimizer"):
        build().compile(3, "mse")
    with pytest.raises(ValueError, match="You must call `compile"):
        fit(build())
    assert told() == []
    fl.guard.disable()


def test_nothing_is_kept_alive(told):
    optimizer = keras.optimizers.SGD()
    model = compiled(optimizer=optimizer)
    fit(model)
    gone = [weakref.ref(model), weakref.ref(optimizer)]
    del model, optimizer
    gc.collect()
    assert [reference() for reference in gone] == [None, None]
    assert all(model is not None for model, _ in ledger.known_models())


def test_fresh_knows_the_rate_that_the_guard_saw(told):
    model = compiled(optimizer=keras.optimizers.SGD(0.25))
    for _ in range(2):
        plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=9.0)
        fit(model, epochs=4, callbacks=[plateau])
    assert float(fl.fresh(model).optimizer.learning_rate) == 0.25
    assert told() == []


def test_a_rate_that_was_set_before_training_is_the_first(told):
    model = compiled(optimizer=keras.optimizers.SGD(0.25))
    model.optimizer.learning_rate = 0.125
    fit(model)
    model.optimizer.learning_rate = 1e-3
    assert float(fl.fresh(model).optimizer.learning_rate) == 0.125


# --- programs that do not mention Fairlane ------------------------------------------------------------

SCRIPT = """
import sys
assert "keras" not in sys.modules and "fairlane" not in sys.modules
import keras
import numpy as np
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
for rate in (0.1, 0.2):
    model.compile("sgd", "mse")
    model.fit(np.zeros((4, 2)), np.zeros((4, 1)), verbose=0)
print(keras.backend.backend(), "fairlane" in sys.modules)
"""


@pytest.mark.parametrize(("value", "on"), [("1", True), ("0", False), ("", False), (None, False)])
def test_the_environment_switches_it_on(tmp_path, value, on):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {k: v for k, v in os.environ.items() if k != "FAIRLANE_GUARD"}
    environment |= {"KERAS_BACKEND": "jax"} | ({} if value is None else {"FAIRLANE_GUARD": value})
    result = _processes.run([sys.executable, script], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["jax", str(on)]
    assert result.stderr.count("AlreadyTrainedWarning: Model") == (1 if on else 0)
    assert not on or f"{script}:8: AlreadyTrainedWarning" in result.stderr


def test_a_backend_that_the_program_takes_by_default_stays(tmp_path):
    """Nobody has chosen one: Keras must look for its own default, with the guard as without it."""
    code = "import os, sys; import _fairlane_autoguard; print(os.environ.get('KERAS_BACKEND'), 'fairlane' in sys.modules)"
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"} | {"FAIRLANE_GUARD": "1"}
    result = _processes.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert result.stdout.split() == ["None", "False"], result.stderr
