"""One bad trial does not end the study; what was finished is kept, whatever ends it."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import callbacks as kc

import _processes
import fairlane as fl
import fairlane.engines.lanes.engine
import fairlane.models.session
from _trial import FIT, X, Y, alone, build, check_logs, check_weights

ENGINES = ["lanes", "reference"]
both_engines = pytest.mark.parametrize("engine", ENGINES)
VARIANTS = [{"lr": 0.05}, {"lr": 0.1}, {"lr": 0.2}]


def compare(variants: Any = VARIANTS, builder: Any = build, **arguments: Any) -> fl.Study:
    return fl.compare(builder, variants, X, Y, verbose=0, **{**FIT, **arguments})


def fails_at(lr: float) -> Any:
    def builder(lr_: float = lr, **hyperparameters: float) -> keras.Model:
        if hyperparameters["lr"] == lr_:
            raise RuntimeError(f"no such rate\nas {lr_}")
        return build(**hyperparameters)

    return builder


class Raises(kc.Callback):
    """Raises in one of its calls."""

    def __init__(self, call: str = "epoch_end", epoch: int = 1, error: Any = ValueError) -> None:
        super().__init__()
        setattr(self, f"on_{call}", self._raise)
        self.epoch, self.error = epoch, error

    def _raise(self, epoch: Any = None, logs: Any = None) -> None:
        if not isinstance(epoch, int) or epoch == self.epoch:
            raise self.error("out of cheese\nredo from start")


def raises_in(number: int, *arguments: Any) -> Any:
    return lambda trial: [Raises(*arguments)] if trial.number == number else []


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())  # some, of workers, last as long as the session
    yield
    new = set(threading.enumerate()) - before
    assert not [thread.name for thread in new if thread.name.startswith("fairlane")]


# --- recorded -------------------------------------------------------------------------------------------


@both_engines
@pytest.mark.parametrize("bad", [0, 1])
def test_a_builder_that_raises_fails_its_trial_only(engine, bad):
    study = compare(builder=fails_at(VARIANTS[bad]["lr"]), engine=engine)
    states = ["done", "done", "done"]
    states[bad] = "failed"
    assert study.trials["state"].tolist() == states
    assert study.trials["error"][bad] == "RuntimeError: no such rate"
    record = study._record(bad)
    assert record.epochs == []
    assert "raise RuntimeError(f" in record.traceback
    assert f"as {VARIANTS[bad]['lr']}" in record.traceback
    assert bad not in set(study.history["trial"])

    good = [v for i, v in enumerate(VARIANTS) if i != bad]
    without = compare(good, engine=engine)
    numbers = [i for i in range(3) if i != bad]
    for old, new in zip(numbers, range(2), strict=True):
        a, b = (
            s.history[s.history["trial"] == i][["loss", "mae", "val_loss", "val_mae"]]
            for s, i in ((study, old), (without, new))
        )
        np.testing.assert_allclose(a, b, rtol=1e-6 if engine == "lanes" else 0)

    with pytest.raises(fl.StudyError, match=rf"trial {bad} .* is failed: RuntimeError: no such rate"):
        study.model(bad)
    assert study.summary()["failed"].sum() == 1
    assert "2 done, 1 failed" in repr(study)


@both_engines
@pytest.mark.parametrize("call", ["epoch_end", "epoch_begin"])
def test_a_callback_that_raises_fails_its_trial_only(engine, call):
    study = compare(callbacks=raises_in(1, call, 1), engine=engine)
    assert study.trials["state"].tolist() == ["done", "failed", "done"]
    assert study.trials["error"][1] == "ValueError: out of cheese"
    assert study.trials["epochs"].tolist() == [4, 1, 4]
    assert "redo from start" in study._record(1).traceback
    assert "in _raise" in study._record(1).traceback
    for trial in (0, 2):
        check_logs(study, trial, alone(VARIANTS[trial]))
        check_weights(study, trial, alone(VARIANTS[trial]))
    first = study.history.query("trial == 1")["loss"].tolist()
    np.testing.assert_allclose(first, alone(VARIANTS[1]).history["loss"][:1], rtol=1e-5)


@both_engines
@pytest.mark.parametrize(
    ("call", "epoch", "where"),
    [
        ("train_begin", 0, "before its first epoch"),
        ("epoch_begin", 0, "in epoch 1"),
        ("epoch_begin", 1, "in epoch 2"),
        ("epoch_end", 1, "in epoch 2"),
        ("train_end", 3, ""),
    ],
)
def test_the_error_says_in_which_epoch(engine, call, epoch, where):
    with pytest.raises(fl.TrialError, match=rf"trial 0 \(lr=0.05, seed 0\) failed.*{where}: Val"):
        compare(
            VARIANTS[:1],
            callbacks=lambda: [Raises(call, epoch)],
            engine=engine,
            on_error="raise",
        )


@both_engines
def test_a_callbacks_function_that_raises_fails_its_trial_only(engine):
    def make(trial):
        if trial.number == 0:
            raise OSError("disk full")
        return []

    study = compare(callbacks=make, engine=engine, epochs=1)
    assert study.trials["state"].tolist() == ["failed", "done", "done"]
    assert study.trials["error"][0] == "OSError: disk full"


@both_engines
def test_all_trials_fail(engine):
    def builder(lr):
        raise MemoryError

    with pytest.warns(
        fl.FairlaneWarning, match="nothing was trained: each of the 3 trials failed .* MemoryError"
    ):
        study = compare(builder=builder, engine=engine)
    assert study.trials["state"].tolist() == ["failed"] * 3
    assert study.trials["error"].tolist() == ["MemoryError"] * 3
    assert study.history.empty
    assert repr(study) == "Study: 3 trials of 3 variants (3 failed)"
    assert "3 failed" in study._repr_html_()
    for ask in (study.summary, study.best, study.plot):
        with pytest.raises(fl.StudyError):
            ask()


@both_engines
def test_a_layer_that_fails_when_it_is_first_called_fails_its_trial(engine):
    class Bad(keras.layers.Layer):
        def call(self, x):
            return x @ keras.ops.ones((7, 7))

    def builder(lr):
        model = build(lr)
        if lr == 0.1:
            model = keras.Sequential([Bad(), keras.layers.Dense(1)])
            model.compile("sgd", "mse")
        return model

    study = compare(builder=builder, engine=engine, epochs=1)
    assert study.trials["state"].tolist() == ["done", "failed", "done"]
    assert study.trials["error"][1]
    assert study.trials["epochs"][1] == 0


# --- diverged -------------------------------------------------------------------------------------------


def infinite_after(step: float) -> Any:
    """A loss that is infinite, while the weights stay what they are."""

    def loss(y, predicted):
        return keras.ops.mean(keras.ops.square(y - predicted)) + keras.ops.where(step > 0, float("inf"), 0.0)

    return loss


@both_engines
def test_a_diverged_trial_keeps_the_history_that_keras_gives(engine):
    variants = [{"lr": 0.05}, {"lr": 1e10}]
    study = compare(variants, engine=engine, epochs=5)
    assert study.trials["state"].tolist() == ["done", "diverged"]
    expected = alone(variants[1], epochs=5)
    losses = np.array(expected.history["loss"])
    epoch = int(np.argmax(~np.isfinite(losses)))
    kind = "NaN" if np.isnan(losses[epoch]) else "infinite"
    assert f"the loss became {kind} in epoch {epoch + 1} (counted from 1)" in study.trials["error"][1]
    check_logs(study, 1, expected, rtol=1e-4)
    check_logs(study, 0, alone(variants[0], epochs=5))
    assert study.trials["epochs"].tolist() == [5, 5]
    assert study.best().number == 0
    assert study.model(1).predict(X[:2], verbose=0).shape == (2, 1)


@both_engines
def test_an_infinite_loss_is_a_divergence_too(engine):
    def builder(lr, step):
        model = build(lr)
        model.compile(keras.optimizers.SGD(0.0), loss=infinite_after(step))
        return model

    study = compare([{"lr": 0.1, "step": 0}, {"lr": 0.1, "step": 1}], builder, engine=engine, epochs=1)
    assert study.trials["state"].tolist() == ["done", "diverged"]
    assert "the loss became infinite in epoch 1" in study.trials["error"][1]


# --- on_error="raise" -----------------------------------------------------------------------------------


@both_engines
def test_on_error_raise_stops_with_the_trial_the_study_and_the_cause(engine):
    with pytest.raises(fl.TrialError, match=r"^trial 1 \(lr=0.1, seed 0\) failed in epoch 2: Val") as info:
        compare(callbacks=raises_in(1), engine=engine, on_error="raise", epochs=30)
    error = info.value
    assert error.trial.number == 1
    assert isinstance(error.__cause__, ValueError)
    assert "out of cheese" in str(error.__cause__)
    assert isinstance(error.study, fl.Study)
    assert error.study.trials["state"][1] == "failed"
    assert set(error.study.trials["state"]) <= {"failed", "interrupted", "done"}
    assert error.study.history.query("trial == 1")["epoch"].tolist() == [0]
    finished = error.study.history.query("trial == 0")
    assert len(finished) >= 1
    np.testing.assert_allclose(
        finished["loss"].iloc[0], alone(VARIANTS[0], epochs=1).history["loss"][0], rtol=1e-5
    )


@both_engines
def test_on_error_raise_stops_at_a_builder_that_raises(engine):
    with pytest.raises(fl.TrialError, match="failed before its first epoch: RuntimeError: no such rate"):
        compare(builder=fails_at(0.05), engine=engine, on_error="raise")


@both_engines
def test_on_error_raise_stops_at_a_divergence(engine):
    with pytest.raises(fl.TrialError, match=r"^trial 1 .* seed 0\) diverged: the loss became") as info:
        compare([{"lr": 0.05}, {"lr": 1e25}], engine=engine, on_error="raise")
    assert info.value.trial.number == 1
    assert info.value.study.trials["state"][1] == "diverged"
    assert info.value.study.history.query("trial == 1")["epoch"].tolist()[-1] < 4


# --- Ctrl-C ---------------------------------------------------------------------------------------------


@pytest.fixture
def one_chunk(monkeypatch):
    """All lanes go through their epochs together."""
    monkeypatch.setattr(fairlane.engines.lanes.engine, "default_threads", lambda: 1)


@pytest.mark.usefixtures("one_chunk")
@both_engines
@pytest.mark.parametrize("call", ["epoch_end", "epoch_begin"])
def test_ctrl_c_returns_what_was_finished(engine, call):
    make = raises_in(1, call, 2, KeyboardInterrupt)
    with pytest.warns(fl.FairlaneWarning, match="interrupted: the study has all finished epochs"):
        study = compare(callbacks=make, engine=engine, epochs=5)
    if engine == "reference":
        assert study.trials["state"].tolist() == ["done", "interrupted", "interrupted"]
        assert study.trials["epochs"].tolist() == [5, 2, 0]
    else:
        assert study.trials["state"].tolist() == ["interrupted"] * 3
        assert study.trials["epochs"].tolist() == [2 + (call == "epoch_end")] * 3
    for trial in (0, 1):
        losses = study.history[study.history["trial"] == trial]["loss"].tolist()
        expected = alone(VARIANTS[trial], epochs=len(losses)).history["loss"]
        np.testing.assert_allclose(losses, expected, rtol=1e-5)
    trained = alone(VARIANTS[1], epochs=study.trials["epochs"][1]).model.get_weights()
    for mine, theirs in zip(study.model(1).get_weights(), trained, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4)
    assert "interrupted" in repr(study)


@both_engines
def test_ctrl_c_in_a_builder(engine):
    def builder(lr):
        if lr == 0.2:
            raise KeyboardInterrupt
        return build(lr)

    with pytest.warns(fl.FairlaneWarning, match="interrupted"):
        study = compare(builder=builder, engine=engine)
    assert study.trials["state"][2] == "interrupted"


@both_engines
@pytest.mark.parametrize("when", [3, 7, 9, 11])  # making callbacks, rehearsing, twice training
def test_ctrl_c_while_the_hidden_state_changes_hands(engine, when, monkeypatch):
    keras.utils.set_random_seed(5)
    keras.random.normal(())
    keras.config.set_epsilon(1e-6)
    calls = []
    install = fairlane.models.session._install

    def interrupted(state: Any) -> None:
        calls.append(state)
        if len(calls) == when:
            raise KeyboardInterrupt
        install(state)

    monkeypatch.setattr(fairlane.models.session, "_install", interrupted)
    with (
        pytest.warns(fl.FairlaneWarning, match="interrupted")
        if when > 8
        else pytest.raises(KeyboardInterrupt)
    ):
        compare(callbacks=lambda: [Raises(epoch=-1)], engine=engine)
    drawn = [float(np.random.rand()), float(keras.random.normal(()))]  # noqa: NPY002
    assert keras.config.epsilon() == 1e-6
    keras.config.set_epsilon(1e-7)
    keras.utils.set_random_seed(5)
    keras.random.normal(())
    assert drawn == [float(np.random.rand()), float(keras.random.normal(()))]  # noqa: NPY002


_SCRIPT = """
import json, sys, threading, warnings
import keras, numpy as np
import fairlane as fl
from _trial import X, Y, build

def told(trial):
    def end(epoch, logs):
        if epoch == 2:
            print("ready", flush=True)
    return [keras.callbacks.LambdaCallback(on_epoch_end=end)] if {told} else []

before = np.random.get_state()[1].tolist()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", fl.FairlaneWarning)
    study = fl.compare(build, {{"lr": [0.01, 0.02, 0.03]}}, X, Y, epochs=1_000_000, batch_size=8,
                       engine="{engine}", callbacks=told, verbose=0)
print(json.dumps({{
    "states": study.trials["state"].tolist(),
    "epochs": study.trials["epochs"].tolist(),
    "warnings": [str(w.message) for w in caught if w.category is fl.FairlaneWarning],
    "threads": [t.name for t in threading.enumerate() if t.name.startswith("fairlane")],
    "numpy as before": np.random.get_state()[1].tolist() == before,
    "keras trains": len(build().fit(X, Y, epochs=2, verbose=0).epoch),
}}))
"""


@pytest.mark.slow
@both_engines
def test_a_real_sigint(engine):
    script = _SCRIPT.format(engine=engine, told=True)
    here = Path(__file__).parents[1]
    with _processes.start(
        [sys.executable, "-c", script], cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert _processes.line(process) == "ready\n"
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    told = json.loads(out.strip().splitlines()[-1])
    assert told["states"] == ["interrupted"] * 3
    assert max(told["epochs"]) >= 2
    assert len(told["warnings"]) == 1
    assert told["threads"] == []
    assert told["numpy as before"]
    assert told["keras trains"] == 2


@both_engines
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_is_swallowed_ends_the_study(engine):
    class Finalized:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)  # its KeyboardInterrupt is printed, and goes nowhere

    class Frees(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                Finalized()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.warns(fl.FairlaneWarning, match="interrupted: the study has all finished epochs"):
            study = compare(callbacks=lambda: [Frees()], engine=engine, epochs=5)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert "interrupted" in set(study.trials["state"])


def test_a_signal_handler_of_the_users_stays_theirs():
    def theirs(number, frame):
        raise AssertionError

    seen = []

    class Looks(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            seen.append(signal.getsignal(signal.SIGINT))

    before = signal.signal(signal.SIGINT, theirs)
    try:
        compare(callbacks=lambda: [Looks()])
        assert signal.getsignal(signal.SIGINT) is theirs
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen
    assert set(seen) == {theirs}


# --- fit ------------------------------------------------------------------------------------------------


def _models() -> list[keras.Model]:
    models = []
    for i, variant in enumerate(VARIANTS):
        keras.utils.set_random_seed(i)
        models.append(build(**variant))
    return models


def _weights_alone(number: int, seed: int = 3, callbacks: Any = (), **arguments: Any) -> list[Any]:
    model = _models()[number]
    keras.utils.set_random_seed(seed)
    model.fit(X, Y, verbose=0, callbacks=list(callbacks), **{**FIT, **arguments})
    return list(model.get_weights())


def _assert_weights(model: keras.Model, expected: list[Any]) -> None:
    for a, b in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@both_engines
def test_fit_trains_the_others_when_one_model_fails(engine):
    models = _models()
    with pytest.raises(fl.TrialError, match=r"trial 1 .*failed in epoch 2: ValueError: out of ch") as info:
        fl.fit(models, X, Y, seed=3, callbacks=raises_in(1), engine=engine, verbose=0, **FIT)
    assert models[1].name in str(info.value)
    assert isinstance(info.value.__cause__, ValueError)
    for i in (0, 2):
        assert models[i].optimizer.iterations == 16
        _assert_weights(models[i], _weights_alone(i))
        assert models[i].history.epoch == [0, 1, 2, 3]
    assert models[1].optimizer.iterations == 8
    _assert_weights(models[1], _weights_alone(1, epochs=2))
    assert models[1].fit(X, Y, verbose=0).epoch == [0]


@pytest.mark.usefixtures("one_chunk")
@both_engines
@pytest.mark.parametrize("call", ["epoch_end", "epoch_begin"])
def test_ctrl_c_in_fit_leaves_the_models_with_what_they_learned(engine, call):
    models = _models()
    make = raises_in(1, call, 1, KeyboardInterrupt)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    with pytest.raises(KeyboardInterrupt):
        fl.fit(models, X, Y, seed=3, callbacks=make, engine=engine, verbose=0, **FIT)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    one = 1 if call == "epoch_begin" else 2
    epochs = [4, one, 0] if engine == "reference" else [one] * 3
    assert [int(m.optimizer.iterations) / 4 for m in models] == epochs
    for i, model in enumerate(models):
        _assert_weights(model, _weights_alone(i, epochs=epochs[i]))
        assert model.fit(X, Y, verbose=0).epoch == [0]
