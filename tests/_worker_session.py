"""A session that trains in a worker process: run as a program, on any backend, by ``test_worker.py``.

Prints a JSON object: name of a check → its traceback, or nothing where it passed. On JAX, where no worker is
needed, it is made to use one, so that lanes can be compared with the reference to rounding.
"""

import contextlib
import io
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

import fairlane as fl
from _alone import assert_logs_agree, history_of, keras_alone, variables
from fairlane.engines.workers import messages, parcel, process
from fairlane.engines.workers.engine import WorkersEngine
from fairlane.running import choosing
from fairlane.trials import EpochEnded

SESSION = os.getpid()
BACKEND = keras.backend.backend()
SHARED = Path("/dev/shm")
rng = np.random.default_rng(5)
X = rng.normal(size=(48, 3)).astype("float32")
Y = (X.sum(axis=1, keepdims=True) + 0.1 * rng.normal(size=(48, 1))).astype("float32")
FIT = {"epochs": 2, "batch_size": 16, "shuffle": False}
LR = {"lr": [0.1, 0.02]}
scale = keras.layers.Normalization()
scale.adapt(X)


def bent(x):
    return keras.ops.maximum(x, 0.1 * x)


def loss(y, p):
    return keras.ops.mean((y - p) ** 2, axis=-1)


class Block(keras.layers.Layer):
    """Of the program's own; its config is complete."""

    def __init__(self, units, **named):
        super().__init__(**named)
        self.units = units
        self.inner = keras.layers.Dense(units, activation=bent)

    def call(self, x):
        return keras.ops.tanh(self.inner(x))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def build(lr=0.1, units=3):
    """Weights are drawn; some only when it first sees data."""
    model = keras.Sequential([scale, Block(units), keras.layers.BatchNormalization(), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(lr), loss, metrics=["mae"])
    return model


def draws(lr=0.05, rate=0.3):
    """Dropout too; a functional model with a lambda, an operation and a regularizer."""
    inputs = keras.Input((3,))
    x = keras.layers.Dense(4, activation="tanh", kernel_regularizer=keras.regularizers.L2(0.01))(inputs)
    x = keras.layers.Lambda(lambda v: 2 * v)(keras.layers.Dropout(rate)(x)) + x
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Lambda(lambda v: 0.5 * v)(x)))
    optimizer = keras.optimizers.SGD(lr, momentum=0.9)
    model.compile(optimizer, keras.losses.Huber(delta=0.5), metrics=[keras.metrics.RootMeanSquaredError()])
    return model


def study(builder=build, variants=None, x=X, y=Y, engine="lanes", **named):
    given = {**FIT, "verbose": 0, **named}
    return fl.compare(builder, variants or LR, x, y, engine=engine, **given)


def engines(result):
    return result.trials["engine"].tolist()


def the_worker():
    (pid,) = process.idle()
    return pid


# --- what is checked ------------------------------------------------------------------------------------


def nothing_is_started_before_it_is_needed():
    study(engine="reference", variants=[{}])
    assert process.idle() == []


def first_epochs_are_those_of_fit():
    result = study(validation_split=0.25)
    assert engines(result) == ["lanes", "lanes"], result.trials["reason"].tolist()
    for trial, lr in enumerate(LR["lr"]):
        alone = keras_alone(build, {"lr": lr}, 0, X, Y, validation_split=0.25, **FIT)
        assert_logs_agree(history_of(result, trial), alone.logs, rtol=1e-4, epochs=1)
        assert_logs_agree(history_of(result, trial), alone.logs, rtol=1e-3, epochs=2)
        trained = variables(result.model(trial))
        for (path, ours), (_, theirs) in zip(trained, alone.variables, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4, err_msg=path)


def weights_travel_exactly():
    result = study(variants={"lr": [0.0]}, seeds=[7])
    keras.backend.clear_session()
    keras.utils.set_random_seed(7)
    drawn = build(0.0)
    drawn.build((None, 3))
    for mine, theirs in zip(result.model(0).trainable_variables, drawn.trainable_variables, strict=True):
        a, b = keras.ops.convert_to_numpy(mine), keras.ops.convert_to_numpy(theirs)
        np.testing.assert_array_equal(a, b, err_msg=mine.path)


def a_model_of_the_study_is_of_this_backend():
    result = study()
    model = result.model(1)
    kept = result._store.weights(result._record(1).trial)
    record = kept.state.flat()
    held = [*model.trainable_variables, *model.non_trainable_variables]
    held += [*model.optimizer.variables, *model.metrics_variables]
    for variable, array in zip(held, record, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), array, err_msg=variable.path)
    assert model.fit(X, Y, verbose=0, **FIT).epoch == [0, 1]
    root = type(held[0].value).__module__.partition(".")[0]
    assert root.startswith({"tensorflow": "tensorflow", "torch": "torch", "jax": "jax"}[BACKEND])


def templates_and_models_of_the_callers():
    template = draws(rate=0.0)
    paths = {"optimizer.learning_rate": [0.1, 0.01]}
    ours, theirs = (study(template, paths, engine=engine) for engine in ("lanes", "reference"))
    assert engines(ours) == ["lanes", "lanes"], ours.trials["reason"].tolist()
    for trial in (0, 1):
        assert_logs_agree(history_of(ours, trial), history_of(theirs, trial), rtol=1e-4)


def models_are_trained_in_place():
    models = [draws(0.1, 0.0), draws(0.01, 0.0)]
    for model in models:
        model.fit(X, Y, verbose=0, **FIT)  # the optimizer has a past
    twins = [fl.copy(model) for model in models]
    histories = fl.fit(models, X, Y, engine="lanes", verbose=0, **FIT)
    for model, twin, history in zip(models, twins, histories, strict=True):
        expected = twin.fit(X, Y, verbose=0, **FIT)
        assert history is model.history
        assert (history.epoch, history.params) == (expected.epoch, expected.params)
        assert_logs_agree(history.history, expected.history, rtol=1e-4)
        assert int(keras.ops.convert_to_numpy(model.optimizer.iterations)) == 12
        for (path, ours), (_, theirs) in zip(variables(model), variables(twin), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5, err_msg=path)


def dropout_and_the_order_of_batches_are_those_of_jax():
    ours, theirs = (study(draws, engine=engine, shuffle=True) for engine in ("lanes", "reference"))
    for trial in (0, 1):
        assert_logs_agree(history_of(ours, trial), history_of(theirs, trial), rtol=1e-5)


def one_worker_serves_all_studies():
    pid = the_worker()
    study(variants=[{}])
    fl.fit([build()], X, Y, engine="lanes", verbose=0, **FIT)
    assert process.idle() == [pid]


def own_operations_run_on_the_reference():
    foreign = __import__(BACKEND)

    def with_layer(lr):
        layers = [keras.Input((3,)), keras.layers.Lambda(lambda v: foreign.exp(v)), keras.layers.Dense(1)]
        model = keras.Sequential(layers)
        model.compile(keras.optimizers.SGD(lr), "mse")
        return model

    result = study(with_layer, variants={"lr": [0.01]}, engine="auto")
    assert engines(result) == ["reference"]
    assert result.trials["state"].tolist() == ["done"]
    reason = result.trials["reason"][0]
    assert reason.startswith(f"the builder uses {BACKEND}, and lanes run on JAX ("), reason
    assert "Unable to automatically" not in reason, reason
    with pytest.raises(fl.LanesError, match=f"the builder uses {BACKEND}"):
        study(with_layer, variants={"lr": [0.01]}, engine="lanes")


def own_names_of_keras_run_on_lanes():
    from tensorflow import keras as tfk  # as many programs import it

    def builder(lr):
        model = tfk.Sequential([tfk.layers.Dense(1)])
        model.compile(tfk.optimizers.SGD(lr), "mse")
        return model

    assert engines(study(builder)) == ["lanes", "lanes"]


def errors_are_told_as_on_the_reference():
    def fails(lr):
        if lr < 0.05:
            raise ValueError("too slow for me")
        return build(lr)

    result = study(fails, engine="auto")
    assert result.trials["state"].tolist() == ["done", "failed"]
    assert result.trials["error"][1] == "ValueError: too slow for me"
    with pytest.raises(fl.TrialError) as caught:
        study(fails, on_error="raise")
    assert isinstance(caught.value.__cause__, ValueError)


def callbacks_of_keras_travel():
    made = []

    def callbacks():
        stop = keras.callbacks.EarlyStopping("loss", patience=0, min_delta=1e9, verbose=1)
        made.append(stop)
        return [stop, keras.callbacks.ReduceLROnPlateau("loss", patience=5)]

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        result = study(epochs=6, callbacks=callbacks)
    assert engines(result) == ["lanes", "lanes"], result.trials["reason"].tolist()
    assert result.trials["epochs"].tolist() == [2, 2]
    assert [stop.stopped_epoch for stop in made] == [1, 1]
    assert printed.getvalue().count("early stopping") == 2
    assert "learning_rate" in result.history.columns


def callbacks_of_the_caller_stay():
    seen = []

    class Mine(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(epoch)

    result = study(callbacks=lambda: [Mine()], engine="auto")
    assert engines(result) == ["reference", "reference"]
    assert seen == [0, 1, 0, 1]
    assert "callback Mine runs your own code" in result.trials["reason"][0]


def data_come_as_arrays():
    import pandas as pd

    plain = study()
    tensors = study(x=keras.ops.convert_to_tensor(X), y=keras.ops.convert_to_tensor(Y))
    frames = study(x=pd.DataFrame(X), y=pd.DataFrame(Y))
    for other in (tensors, frames):
        assert engines(other) == ["lanes", "lanes"], other.trials["reason"].tolist()
        np.testing.assert_allclose(other.history["loss"], plain.history["loss"], rtol=1e-6)

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, i):
            return X[16 * i : 16 * i + 16], Y[16 * i : 16 * i + 16]

    given = {"epochs": 2, "shuffle": False, "verbose": 0}
    result = fl.compare(build, LR, Batches(), engine="auto", **given)
    assert engines(result) == ["reference", "reference"]
    assert "x is a Batches" in result.trials["reason"][0]


def what_can_not_travel_stays():
    with tempfile.TemporaryFile() as file:

        def holds(lr):
            assert not file.closed
            return build(lr)

        result = study(holds, engine="auto")
    assert engines(result) == ["reference", "reference"]
    assert "the model can't be sent to the worker process (TypeError" in result.trials["reason"][0]


def settings_go_along():
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        keras.config.set_epsilon(1e-3)
        theirs = study(engine="reference", variants=[{}])
        ours = study(variants=[{}])
        assert engines(ours) == ["lanes"]
        np.testing.assert_allclose(history_of(ours, 0)["loss"], history_of(theirs, 0)["loss"], rtol=0.02)
        keras.config.set_dtype_policy("float64")
        result = study(variants=[{}], engine="auto")
        assert engines(result) == ["reference"]
        assert "its variables are float64" in result.trials["reason"][0], result.trials["reason"][0]
    finally:
        keras.config.set_dtype_policy(policy)
        keras.config.set_epsilon(1e-7)


def the_session_is_left_as_found():
    before = left_by(lambda: None)
    assert left_by(study) == before


def left_by(call):
    """All that a call could leave behind, after the same beginning."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    call()
    drawn = keras.ops.convert_to_numpy(keras.random.normal((2,))).tolist()
    state = random.getstate(), np.random.get_state()[1].tolist(), drawn  # noqa: NPY002
    settings = keras.config.dtype_policy().name, keras.config.floatx(), keras.config.epsilon()
    return state, settings, keras.layers.Dense(1).name, sys.path[:], os.getcwd(), dict(os.environ)


@contextlib.contextmanager
def at_an_epoch(act):
    """Call ``act`` when an epoch's end is first heard of."""
    plain, heard = process.Process.receive, []

    def receive(self, timeout=None):
        message = plain(self, timeout)
        if isinstance(message, messages.Happened) and isinstance(message.event, EpochEnded) and not heard:
            heard.append(message)
            act()
        return message

    process.Process.receive = receive
    try:
        yield
    finally:
        process.Process.receive = plain


def deadly(when):
    """A callback that kills the process it runs in, where that is a worker and ``when(learning rate)`` holds."""

    def schedule(epoch, rate):
        if epoch == 1 and os.getpid() != SESSION and when(rate):
            os.kill(os.getpid(), signal.SIGKILL)
        return rate

    return lambda: [keras.callbacks.LearningRateScheduler(schedule)]


def a_killed_worker_is_replaced():
    pid = the_worker()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", fl.FairlaneWarning)

        def first_time(_):
            marks = len(os.listdir(folder))
            open(f"{folder}/{marks}", "w").close()
            return marks == 0

        result = study(epochs=3, callbacks=deadly(first_time))
    told = [w for w in caught if issubclass(w.category, fl.FairlaneWarning)]
    assert "died: it was killed (signal 9), often because memory ran out. trial " in str(told[0].message)
    assert told[0].filename == __file__
    assert engines(result) == ["lanes", "lanes"]
    assert result.trials["state"].tolist() == ["done", "done"]
    assert result.history["epoch"].tolist() == [0, 1, 2, 0, 1, 2]
    assert the_worker() != pid


def a_worker_killed_again_ends_clearly():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fl.FairlaneWarning)
        result = study(epochs=3, callbacks=deadly(lambda rate: rate > 0.05))
    assert result.trials["state"].tolist() == ["failed", "done"]
    error = result.trials["error"][0]
    assert error.startswith("the worker process died twice with this trial: it was killed (signal 9)"), error


def interrupted_as_on_jax():
    with (
        warnings.catch_warnings(record=True) as caught,
        at_an_epoch(lambda: signal.raise_signal(signal.SIGINT)),
    ):
        warnings.simplefilter("always", fl.FairlaneWarning)
        result = study(epochs=100_000)
    assert any("interrupted" in str(w.message) for w in caught)
    assert result.trials["state"].tolist() == ["interrupted", "interrupted"]
    assert study().trials["state"].tolist() == ["done", "done"]
    model = build()
    with at_an_epoch(lambda: signal.raise_signal(signal.SIGINT)), pytest.raises(KeyboardInterrupt):
        fl.fit([model], X, Y, engine="lanes", verbose=0, **{**FIT, "epochs": 100_000})
    assert int(keras.ops.convert_to_numpy(model.optimizer.iterations)) >= 3


def without_room_for_shared_memory():
    usage = parcel.shutil.disk_usage
    parcel.shutil.disk_usage = lambda path: type("Usage", (), {"free": 0})
    try:
        result = study()
    finally:
        parcel.shutil.disk_usage = usage
    assert engines(result) == ["lanes", "lanes"]
    np.testing.assert_array_equal(result.history["loss"], study().history["loss"])


def shared_memory_is_given_back():
    assert segments() == SEGMENTS_BEFORE


def segments():
    return sorted(path.name for path in SHARED.glob("psm_*")) if SHARED.is_dir() else []


SEGMENTS_BEFORE = segments()
ALWAYS = (
    nothing_is_started_before_it_is_needed,
    first_epochs_are_those_of_fit,
    weights_travel_exactly,
    a_model_of_the_study_is_of_this_backend,
    templates_and_models_of_the_callers,
    models_are_trained_in_place,
    one_worker_serves_all_studies,
    the_session_is_left_as_found,
)
CHECKS = {
    "tensorflow": (
        *ALWAYS,
        own_operations_run_on_the_reference,
        own_names_of_keras_run_on_lanes,
        data_come_as_arrays,
        settings_go_along,
        a_killed_worker_is_replaced,
        shared_memory_is_given_back,
    ),
    "torch": (
        *ALWAYS,
        own_operations_run_on_the_reference,
        callbacks_of_keras_travel,
        shared_memory_is_given_back,
    ),
    "jax": (
        nothing_is_started_before_it_is_needed,
        dropout_and_the_order_of_batches_are_those_of_jax,
        errors_are_told_as_on_the_reference,
        callbacks_of_keras_travel,
        callbacks_of_the_caller_stay,
        what_can_not_travel_stays,
        a_worker_killed_again_ends_clearly,
        interrupted_as_on_jax,
        without_room_for_shared_memory,
        shared_memory_is_given_back,
    ),
}


def main():
    if BACKEND == "jax":
        choosing.lanes = WorkersEngine
    results = {}
    for check in CHECKS[BACKEND]:
        began = time.perf_counter()
        try:
            check()
        except BaseException:
            results[check.__name__] = traceback.format_exc()
        else:
            results[check.__name__] = ""
        print(f"{check.__name__}: {time.perf_counter() - began:.1f} s", file=sys.stderr)
    print(json.dumps(results), flush=True)
    print(the_worker(), flush=True)
    # The end is as bad as can be: in the midst of a study, with its shared memory in use.
    with at_an_epoch(lambda: os.kill(os.getpid(), signal.SIGKILL)):
        study(epochs=100_000)


if __name__ == "__main__":
    main()
