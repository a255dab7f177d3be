"""Memory does not grow with the number of trials, but for the results that are kept."""

import gc
import threading
from typing import Any

import jax
import keras
import pytest

import fairlane as fl
from _trial import X, Y

pytestmark = pytest.mark.slow

BRIEF: dict[str, Any] = {"epochs": 1, "batch_size": 32, "verbose": 0}


def build(lr: float = 0.01) -> keras.Model:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(lr), "mse")
    return model


def models_alive() -> int:
    """Keras models that something still refers to; cycles are none."""
    for _ in range(2):
        gc.collect()
    return sum(isinstance(thing, keras.Model) for thing in gc.get_objects())


def bytes_on_device() -> int:
    gc.collect()
    return sum(array.nbytes for array in jax.live_arrays())


@pytest.mark.parametrize(("engine", "trials"), [("lanes", 24), ("reference", 8)])
def test_no_models_threads_or_arrays_are_left(engine, trials):
    fl.compare(build, [{}], X, Y, engine=engine, **BRIEF)
    models, size, threads = models_alive(), bytes_on_device(), threading.active_count()
    study = fl.compare(build, {"lr": [0.01]}, X, Y, seeds=trials, engine=engine, **BRIEF)
    assert study.trials["state"].eq("done").all()
    assert study.trials["engine"].eq(engine).all()
    assert models_alive() <= models
    # Constants that JAX and Keras keep for good, such as those of a compiled program, are small.
    assert bytes_on_device() <= size + 1_500
    assert threading.active_count() <= threads


@pytest.mark.parametrize("engine", ["lanes", "reference"])
def test_models_do_not_pile_up_while_a_study_runs(engine):
    """With callbacks, which every lane keeps its model for, and which hold the model themselves."""
    seen: list[int] = []

    class Counts(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            seen.append(models_alive())

    before = models_alive()
    fl.compare(build, [{}], X, Y, seeds=3, engine=engine, callbacks=lambda: [Counts()], **BRIEF)
    assert len(seen) == 3
    assert models_alive() <= before
    if engine == "reference":
        assert max(seen) <= before + 2


@pytest.mark.parametrize("engine", ["lanes", "reference"])
def test_a_study_with_failures_leaves_nothing_either(engine):
    def make(trial: fl.Trial) -> list[Any]:
        def fail(epoch: int, logs: Any) -> None:
            raise ValueError("on purpose")

        return [keras.callbacks.LambdaCallback(on_epoch_end=fail)] if trial.number % 2 else []

    before = models_alive()
    study = fl.compare(build, [{}], X, Y, seeds=4, engine=engine, callbacks=make, **BRIEF)
    assert study.trials["state"].tolist() == ["done", "failed"] * 2
    assert models_alive() <= before


@pytest.mark.parametrize("engine", ["lanes", "reference"])
def test_fit_keeps_no_model_alive(engine):
    before = models_alive()
    histories = fl.fit([build() for _ in range(4)], X, Y, engine=engine, **BRIEF)
    assert len(histories) == 4
    assert histories[0].model.built  # a History keeps its model, as in Keras
    del histories
    assert models_alive() <= before
