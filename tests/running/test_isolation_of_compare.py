"""A call of Fairlane leaves the session as it found it, and its trials do not feel what is around them."""

import os
import random
import threading
import warnings
from typing import Any

import jax
import keras
import matplotlib as mpl
import numpy as np
import pytest
from keras import callbacks as kc

import fairlane as fl
from _trial import FIT, X, Y, alone, build, check_logs, check_weights

ENGINES = ["lanes", "reference"]
both_engines = pytest.mark.parametrize("engine", ENGINES)
VARIANTS = [{"lr": 0.05}, {"lr": 0.1}]
BRIEF = {**FIT, "epochs": 2}


def compare(variants: Any = VARIANTS, builder: Any = build, **arguments: Any) -> fl.Study:
    return fl.compare(builder, variants, X, Y, verbose=0, **{**BRIEF, **arguments})


def fails(trial: fl.Trial) -> list[kc.Callback]:
    """Callbacks of which the second trial's raises."""

    def fail(epoch: int, logs: Any) -> None:
        raise ValueError("on purpose")

    return [kc.LambdaCallback(on_epoch_end=fail)] if trial.number == 1 else []


# --- the session ----------------------------------------------------------------------------------------


def session() -> dict[str, Any]:
    """All that a call might leave changed."""
    config = keras.config
    return {
        "NumPy's generator": [str(part) for part in np.random.get_state()],  # noqa: NPY002
        "Python's generator": random.getstate(),
        "dtype policy": config.dtype_policy(),
        "floatx": config.floatx(),
        "epsilon": config.epsilon(),
        "image data format": config.image_data_format(),
        "environment": dict(os.environ),
        "working directory": os.getcwd(),
        "matplotlib": dict(mpl.rcParams),
        "warnings": list(warnings.filters),
        "jax": dict(jax.config.values),
        "threads": {t.name for t in threading.enumerate() if t.name.startswith("fairlane")},
    }


def unchanged(before: dict[str, Any]) -> None:
    after = session()
    assert [what for what in before if before[what] != after[what]] == []


def draws() -> list[float]:
    """Numbers from all generators, which move."""
    return [
        random.random(),
        float(np.random.rand()),  # noqa: NPY002
        float(keras.random.normal(())),
        int(keras.layers.Dense(1).name.split("_")[-1]),
    ]


def _call(engine: str, how: str) -> None:
    match how:
        case "compare":
            study = compare(engine=engine, seeds=2)
            study.model(0)
            study.summary()
            study.plot()
        case "a trial fails":
            compare(engine=engine, callbacks=fails)
        case "an error":
            with pytest.raises(fl.TrialError):
                compare(engine=engine, callbacks=fails, on_error="raise")
        case "wrong input":
            with pytest.raises(ValueError, match="same number of samples"):
                fl.compare(build, VARIANTS, X, Y[:-1], engine=engine)


@both_engines
@pytest.mark.parametrize("how", ["compare", "a trial fails", "an error", "wrong input"])
def test_the_session_is_as_it_was(engine, how):
    keras.layers.Dense(1), keras.layers.Dense(1)
    keras.utils.set_random_seed(5)
    keras.random.normal(())
    first = keras.layers.Dense(1).name.split("_")[-1]
    before = session()
    _call(engine, how)
    unchanged(before)
    after = draws()
    keras.utils.set_random_seed(5)
    keras.random.normal(())
    keras.layers.Dense(1)
    assert after[:3] == draws()[:3]
    assert after[3] == int(first) + 1


@both_engines
def test_the_callers_settings_hold_in_the_trials_and_after(engine):
    keras.config.set_dtype_policy("mixed_bfloat16")
    keras.config.set_epsilon(1e-5)
    try:
        study = compare(VARIANTS[:1], engine=engine, epochs=1)
        assert study.model(0).layers[0].compute_dtype == "bfloat16"
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        assert keras.config.epsilon() == 1e-5
        check_logs(study, 0, alone(VARIANTS[0], epochs=1), rtol=1e-2)
    finally:
        keras.config.set_dtype_policy("float32")
        keras.config.set_epsilon(1e-7)


def _rude(lr: float, rude: int) -> keras.Model:
    """A builder that turns everything upside down."""
    if rude:
        keras.utils.clear_session()
        keras.config.set_dtype_policy("mixed_bfloat16")
        keras.config.set_epsilon(0.1)
        keras.config.set_image_data_format("channels_first")
        keras.utils.set_random_seed(123)
        random.seed(1)
    return build(lr)


@both_engines
def test_what_a_builder_does_to_the_session_stays_in_its_trial(engine):
    keras.layers.Dense(1)
    first = int(keras.layers.Dense(1).name.split("_")[-1])
    before = session()
    study = compare([{"lr": 0.05, "rude": 1}, {"lr": 0.05, "rude": 0}], _rude, engine=engine)
    rude, polite = study.model(0), study.model(1)
    unchanged(before)
    assert int(keras.layers.Dense(1).name.split("_")[-1]) == first + 1
    assert study.trials["error"].tolist() == ["", ""]
    assert rude.layers[0].compute_dtype == "bfloat16"
    assert polite.layers[0].compute_dtype == "float32"
    check_logs(study, 1, alone({"lr": 0.05}, **BRIEF))
    check_weights(study, 1, alone({"lr": 0.05}, **BRIEF))
    assert study.history["loss"][0] != study.history["loss"][2]


@both_engines
def test_a_builder_that_sets_a_seed_of_its_own_gets_its_way(engine):
    def builder(lr, seed_inside):
        keras.utils.set_random_seed(seed_inside)
        return build(lr)

    study = compare([{"lr": 0.05, "seed_inside": 3}], builder, engine=engine, seeds=2)
    expected = alone({"lr": 0.05}, seed=3, **BRIEF)
    for trial in (0, 1):
        check_logs(study, trial, expected)
        check_weights(study, trial, expected)


# --- the caller's objects -------------------------------------------------------------------------------


def _arrays() -> dict[str, Any]:
    rng = np.random.default_rng(2)
    return {
        "x": X.copy(),
        "y": Y.copy(),
        "validation_data": (X[:10].copy(), Y[:10].copy()),
        "sample_weight": rng.uniform(0.5, 1.5, size=len(X)),
    }


@both_engines
def test_the_callers_arrays_are_as_they_were(engine):
    given, kept = _arrays(), _arrays()
    study = fl.compare(build, VARIANTS, **given, engine=engine, epochs=2, batch_size=8, verbose=0)
    fl.fit([build(), build()], **given, engine=engine, epochs=2, batch_size=8, verbose=0)
    assert study.trials["error"].tolist() == ["", ""]
    for a, b in zip(keras.tree.flatten(given), keras.tree.flatten(kept), strict=True):
        assert a.tobytes() == b.tobytes()
        assert a.dtype == b.dtype
        assert a.flags.writeable
    for array in keras.tree.flatten(given):
        array *= 0  # nobody holds a view of it that would show
    assert study.model(0).predict(X[:1], verbose=0) != 0


def _state(model: keras.Model) -> list[Any]:
    variables = [*model.variables, *model.optimizer.variables]
    return [(v.path, id(v), np.asarray(keras.ops.convert_to_numpy(v)).tolist()) for v in variables]


@both_engines
@pytest.mark.parametrize("bad", [False, True])
def test_a_template_is_read_and_never_touched(engine, bad):
    template = build(0.05)
    template.fit(X, Y, epochs=1, verbose=0)
    optimizer, history, config = template.optimizer, template.history, template.get_config()
    before, compiled = _state(template), template.get_compile_config()
    paths = {"optimizer.learning_rate": [0.05, 0.1]}
    study = compare(paths, template, engine=engine, callbacks=fails if bad else None)
    assert study.trials["state"].tolist() == ["done", "failed" if bad else "done"]
    assert _state(template) == before
    assert template.optimizer is optimizer
    assert template.history is history
    assert template.get_config() == config
    assert template.get_compile_config() == compiled
    assert fl.shared_state(template, study.model(0)) == []
    assert template.fit(X, Y, epochs=1, verbose=0).epoch == [0]


@both_engines
def test_objects_among_the_hyperparameters_are_not_trained(engine):
    """A regularizer or initializer in a grid is an argument like any other."""
    l2 = keras.regularizers.L2(0.01)
    before = l2.get_config()

    def builder(regularizer):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_regularizer=regularizer)])
        model.compile(keras.optimizers.SGD(0.01), "mse")
        return model

    study = compare({"regularizer": [None, l2]}, builder, engine=engine)
    assert study.trials["state"].tolist() == ["done", "done"]
    assert study.history["loss"][2] > study.history["loss"][0]
    assert l2.get_config() == before


# --- trials do not feel each other ----------------------------------------------------------------------


@both_engines
def test_the_order_of_trials_makes_no_difference(engine):
    variants = [{"lr": 0.05}, {"lr": 0.1}, {"lr": 0.02}]
    forth = compare(variants, engine=engine, seeds=[1, 2])
    back = compare(variants[::-1], engine=engine, seeds=[2, 1])
    keys = ["lr", "seed", "epoch"]
    a, b = (s.history.sort_values(keys).reset_index()[[*keys, "loss", "val_mae"]] for s in (forth, back))
    np.testing.assert_allclose(a, b, rtol=1e-6)


@both_engines
def test_what_was_drawn_before_makes_no_difference(engine):
    keras.utils.set_random_seed(1)
    a = compare(engine=engine).history
    keras.utils.set_random_seed(2)
    build()
    np.random.rand(7)  # noqa: NPY002
    b = compare(engine=engine).history
    np.testing.assert_allclose(a[["loss", "val_loss"]], b[["loss", "val_loss"]], rtol=1e-6)


@both_engines
def test_a_study_equals_itself(engine):
    a, b = (compare(engine=engine).history for _ in range(2))
    np.testing.assert_array_equal(a.to_numpy(), b.to_numpy())


@both_engines
def test_a_studys_models_share_nothing_and_are_the_trained_ones(engine):
    study = compare(engine=engine, epochs=3)
    models = [study.model(0), study.model(0), study.model(1)]
    assert fl.shared_state(*models) == []
    split = int(len(X) * (1 - FIT["validation_split"]))
    for trial, model in ((0, models[0]), (1, models[2])):
        values = model.evaluate(X[split:], Y[split:], batch_size=8, verbose=0, return_dict=True)
        last = study.history.query(f"trial == {trial}").iloc[-1]
        np.testing.assert_allclose(values["loss"], last["val_loss"], rtol=1e-5)
        np.testing.assert_allclose(values["mae"], last["val_mae"], rtol=1e-5)
    kept = models[1].get_weights()
    models[0].fit(X, Y, epochs=1, verbose=0)
    for a, b, c in zip(models[1].get_weights(), kept, study.model(0).get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


@both_engines
def test_a_trained_model_goes_on_as_keras_alone_would_have(engine):
    """Momentum, step count and dropout's random state are there: a second `fit` is the same."""
    study = compare(VARIANTS[:1], engine=engine)
    ours, theirs = study.model(0), alone(VARIANTS[0], **BRIEF).model
    logs = []
    for model in (ours, theirs):
        keras.utils.set_random_seed(9)
        logs.append(model.fit(X, Y, epochs=2, batch_size=8, verbose=0).history["loss"])
    np.testing.assert_allclose(*logs, rtol=1e-5)


# --- fit ------------------------------------------------------------------------------------------------


def _pair(builder: Any = build) -> list[keras.Model]:
    models = []
    for seed, lr in ((0, 0.05), (1, 0.1), (2, 0.02)):
        keras.utils.set_random_seed(seed)
        models.append(builder(lr))
    return models


def _check_equal(ours: keras.Model, theirs: keras.Model) -> None:
    for a, b in zip(
        [*ours.variables, *ours.optimizer.variables],
        [*theirs.variables, *theirs.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b), rtol=1e-4, atol=1e-5
        )


@both_engines
def test_fit_trains_in_place_as_each_models_own_fit_would(engine):
    ours, theirs = _pair(), _pair()
    for models in (ours, theirs):
        keras.utils.set_random_seed(3)
        models.append(build(0.01, units=7))
    optimizers = [m.optimizer for m in ours]
    for first, seed in ((0, 3), (2, 4)):  # the second call goes on where the first ended
        more = {**BRIEF, "initial_epoch": first, "epochs": first + 2}
        before = session()
        histories = fl.fit(ours, X, Y, seed=seed, engine=engine, verbose=0, **more)
        unchanged(before)
        for history, other in zip(histories, theirs, strict=True):
            keras.utils.set_random_seed(seed)
            expected = other.fit(X, Y, verbose=0, **more)
            assert history.epoch == expected.epoch == [first, first + 1]
            assert list(history.history) == list(expected.history)
            for log, values in expected.history.items():
                np.testing.assert_allclose(history.history[log], values, rtol=1e-4, err_msg=log)
    for a, b, optimizer in zip(ours, theirs, optimizers, strict=True):
        _check_equal(a, b)
        assert a.optimizer is optimizer
        assert a.history.model is a


@both_engines
def test_fit_draws_its_default_seed_once_from_numpys_generator(engine):
    def train(models: list[keras.Model]) -> list[list[float]]:
        histories = fl.fit(models, X, Y, engine=engine, verbose=0, **BRIEF)
        return [h.history["loss"] for h in histories]

    np.random.seed(11)  # noqa: NPY002
    first = train(_numbered())
    second = train(_numbered())
    np.random.seed(11)  # noqa: NPY002
    again = train(_numbered())
    assert first == again
    assert first != second
    np.random.seed(11)  # noqa: NPY002
    number = int(np.random.randint(0, 2**31 - 1))  # noqa: NPY002
    after = np.random.rand()  # noqa: NPY002
    for model, losses in zip(_numbered(), first, strict=True):
        keras.utils.set_random_seed(number)
        expected = model.fit(X, Y, verbose=0, **BRIEF).history["loss"]
        np.testing.assert_allclose(losses, expected, rtol=1e-5)
    np.random.seed(11)  # noqa: NPY002
    train(_numbered())
    assert np.random.rand() == after  # noqa: NPY002


def _numbered() -> list[keras.Model]:
    """Two models with given weights, made without touching the random state of the caller."""
    state = np.random.get_state()  # noqa: NPY002
    models = _pair()[:2]
    np.random.set_state(state)  # noqa: NPY002
    return models


def _with_auc(lr: float) -> keras.Model:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(
        keras.optimizers.SGD(lr), "binary_crossentropy", metrics=[keras.metrics.AUC(num_thresholds=9)]
    )
    return model


@both_engines
def test_automatic_metric_names_stay_each_models_own(engine):
    labels = (Y > 0).astype("float32")
    keras.backend.clear_session()
    ours, theirs = _pair(_with_auc), _pair(_with_auc)
    histories = fl.fit(ours, X, labels, seed=1, engine=engine, verbose=0, **BRIEF)
    names = [sorted(h.history) for h in histories]
    auc = ["auc", "auc_1", "auc_2"]
    assert names == [sorted([a, "loss", f"val_{a}", "val_loss"]) for a in auc]
    for history, other, a, b in zip(histories, theirs, auc, ["auc_3", "auc_4", "auc_5"], strict=True):
        keras.utils.set_random_seed(1)
        expected = other.fit(X, labels, verbose=0, **BRIEF).history
        np.testing.assert_allclose(history.history[a], expected[b], rtol=1e-5)
        np.testing.assert_allclose(history.history[f"val_{a}"], expected[f"val_{b}"], rtol=1e-5)

    study = fl.compare(_with_auc, {"lr": [0.1, 0.2]}, X, labels, engine=engine, verbose=0, **BRIEF)
    assert {"auc", "val_auc"} < set(study.history.columns)
    assert not study.history[["auc", "val_auc"]].isna().any(axis=None)
