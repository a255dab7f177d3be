"""The 23 pitfalls of ``docs/pitfalls.md``: for each, that plain Keras leaks, and what Fairlane does about it.

A ``test_leak_NN`` that fails is good news: Keras has mended it, and the page must say so.
"""

import copy
import re
import threading
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import fairlane as fl

RNG = np.random.default_rng(3)
X = RNG.normal(size=(32, 3)).astype("float32")
Y = (X @ np.array([[1.0], [-2.0], [0.5]])).astype("float32")
BRIEF: dict[str, Any] = {"batch_size": 8, "verbose": 0}
kc = keras.callbacks


def build(rate: float = 0.05, *inner: Any, optimizer: Any = None, name: str = "net", **out: Any) -> Any:
    model = keras.Sequential([keras.Input((3,)), *inner, layers.Dense(1, **out)], name=name)
    model.compile(optimizer or keras.optimizers.SGD(rate), "mse")
    return model


def fit(model: Any, epochs: int = 2, x: Any = X, y: Any = Y, **more: Any) -> list[float]:
    return model.fit(x, y, epochs=epochs, **{**BRIEF, **more}).history["loss"]


def kernel(model: Any) -> Any:
    return keras.ops.convert_to_numpy(model.trainable_variables[0])


def rate_of(model: Any) -> float:
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


def losses(study: Any, trial: int) -> list[float]:
    return study.history.query(f"trial == {trial}")["loss"].tolist()


def alone(builder: Any, seed: int, **hyperparameters: Any) -> list[float]:
    keras.utils.set_random_seed(seed)
    return fit(builder(**hyperparameters))


def plateau() -> Any:
    return kc.ReduceLROnPlateau("loss", factor=0.1, patience=1, min_delta=1e3)


def reduced() -> Any:
    model = build(0.05)
    fit(model, 4, callbacks=[plateau()])
    assert rate_of(model) < 0.01
    return model


# --- 1: an alias is no copy ---------------------------------------------------------------------------


def test_leak_01():
    model = build()
    model_copy = model
    fit(model_copy)
    assert model_copy is model


def test_fairlane_01():
    model = build()
    model_copy = model
    with pytest.raises(fl.SharedStateError, match="second name"):
        fl.fit([model, model_copy], X, Y, verbose=0)
    assert fl.shared_state(model, fl.copy(model)) == []
    with fl.guard(), pytest.warns(fl.AlreadyTrainedWarning, match="does not reset"):
        fit(model)
        model_copy.compile("sgd", "mse")
        fit(model_copy)


# --- 2: clone_model compiles from the live optimizer ----------------------------------------------------


def test_leak_02():
    model = reduced()
    clone = keras.models.clone_model(model)
    config = model.get_compile_config()
    clone.compile_from_config(config)
    assert rate_of(clone) == pytest.approx(rate_of(model))


def test_fairlane_02():
    assert rate_of(fl.fresh(reduced())) == pytest.approx(0.05)


# --- 3: integer seeds make replicates identical -------------------------------------------------------


def seeded(rate: float = 0.05) -> Any:
    return build(rate, kernel_initializer=keras.initializers.GlorotUniform(seed=1))


def test_leak_03():
    a, b = keras.models.clone_model(seeded()), keras.models.clone_model(seeded())
    assert np.array_equal(kernel(a), kernel(b))


def test_fairlane_03():
    model = seeded()
    assert not np.array_equal(kernel(fl.fresh(model)), kernel(fl.fresh(model)))
    study = fl.compare(model, [{}], X, Y, seeds=2, epochs=1, **BRIEF)
    assert losses(study, 0) != losses(study, 1)


# --- 4: cloning un-adapts Normalization ---------------------------------------------------------------


def adapted() -> Any:
    norm = layers.Normalization()
    norm.adapt(X * 5 + 3)
    return build(0.05, norm)


def test_leak_04():
    model = adapted()
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert not np.allclose(clone.layers[0](X), model.layers[0](X))


def test_fairlane_04():
    model = adapted()
    for other in (fl.copy(model), fl.fresh(model)):
        np.testing.assert_array_equal(other.layers[0](X), model.layers[0](X))


# --- 5: what is shared inside a model, and models that are classes ------------------------------------


class NoConfig(keras.Model):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.dense = layers.Dense(units)

    def call(self, x: Any) -> Any:
        return self.dense(x)


class Tied(layers.Layer):
    """Uses a variable of another layer."""

    def __init__(self, other: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.other = other

    def call(self, x: Any) -> Any:
        return x @ keras.ops.transpose(self.other.kernel)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "other": keras.saving.serialize_keras_object(self.other)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(keras.saving.deserialize_keras_object(config.pop("other")), **config)


def tied() -> Any:
    dense = layers.Dense(2)
    inputs = keras.Input((3,))
    model = keras.Model(inputs, Tied(dense)(dense(inputs)))
    model.compile("sgd", "mse")
    return model


def test_leak_05():
    model = tied()
    with keras.saving.custom_object_scope({"Tied": Tied}):
        clone = keras.models.clone_model(model)
    assert clone.layers[1] is not clone.layers[2].other
    with pytest.raises(Exception, match=r"NoConfig|get_config"):
        keras.models.clone_model(NoConfig(2))


def test_fairlane_05():
    model = tied()
    try:  # either it is the same graph, or it is refused: never silently another model
        copied = fl.copy(model)
    except fl.BuilderError as error:
        assert re.search("variables|share", str(error))  # noqa: PT017
    else:
        assert copied.layers[1] is copied.layers[2].other
    with pytest.raises(fl.BuilderError, match=r"NoConfig(.|\n)*get_config"):
        fl.copy(NoConfig(2))


# --- 6: neither compile nor fit resets weights --------------------------------------------------------


def test_leak_06():
    model = build()
    fit(model)
    learned = kernel(model)
    model.compile("sgd", "mse")
    assert np.array_equal(kernel(model), learned)


def test_fairlane_06():
    model = build()
    fit(model)
    assert not np.array_equal(kernel(fl.fresh(model)), kernel(model))
    with fl.guard(), pytest.warns(fl.AlreadyTrainedWarning) as told:
        model.compile("sgd", "mse")
        fit(model)
    assert sum(w.category is fl.AlreadyTrainedWarning for w in told) == 1


# --- 7: one optimizer for two models ------------------------------------------------------------------


def test_leak_07():
    optimizer = keras.optimizers.Adam(0.05)
    first, second = build(optimizer=optimizer), build(optimizer=optimizer)
    fit(first)
    if keras.backend.backend() != "jax":
        return  # other backends refuse the second model
    second.optimizer.build(second.trainable_variables)
    assert int(second.optimizer.iterations) == 8


def test_fairlane_07():
    optimizer = keras.optimizers.Adam()
    with fl.guard(), pytest.warns(fl.AlreadyTrainedWarning, match="optimizer Adam of model 'second' served"):
        models = [build(optimizer=optimizer, name=name) for name in ("first", "second")]
    assert [shared.kind for shared in fl.shared_state(*models)] == ["optimizer"]
    with pytest.raises(fl.SharedStateError, match="optimizer 'adam"):
        fl.fit(models, X, Y, verbose=0)


# --- 8: EarlyStopping and ReduceLROnPlateau carry state over ------------------------------------------


def test_leak_08():
    """Which attributes are reset differs between Keras's versions; the callback's model does not reset."""
    callback = kc.EarlyStopping("loss", patience=1)
    first = build(name="first")
    fit(first, callbacks=[callback])
    assert callback.model is first
    assert callback.best < np.inf  # until the next fit begins, if that


def test_fairlane_08():
    callback = kc.EarlyStopping("loss", patience=1)
    with fl.guard(), pytest.warns(fl.AlreadyTrainedWarning, match="callback EarlyStopping"):
        for name in ("first", "second"):
            fit(build(name=name), callbacks=[callback])
    seen = []
    fl.compare(
        build, {"rate": [0.1, 0.2]}, X, Y, callbacks=lambda: [seen.append(plateau()) or seen[-1]], **BRIEF
    )
    assert len({id(one) for one in seen}) == 2


# --- 9: ReduceLROnPlateau leaves the rate reduced -------------------------------------------------------


def test_leak_09():
    model = reduced()
    fit(model, 1)
    assert rate_of(model) < 0.01


def test_fairlane_09():
    study = fl.compare(
        build, {"rate": [0.05]}, X, Y, seeds=2, epochs=4, callbacks=lambda: [plateau()], **BRIEF
    )
    rates = study.history.query("epoch == 0")["learning_rate"]
    np.testing.assert_allclose(rates, 0.05, rtol=1e-6)
    assert rate_of(fl.fresh(reduced())) == pytest.approx(0.05)


# --- 10: ModelCheckpoint never resets its best --------------------------------------------------------


def test_leak_10(tmp_path):
    callback = kc.ModelCheckpoint(tmp_path / "{epoch}.keras", "loss", save_best_only=True)
    fit(build(), 3, callbacks=[callback])
    for file in tmp_path.iterdir():
        file.unlink()
    fit(build(), 1, y=Y + 100, callbacks=[callback])  # a worse model
    assert list(tmp_path.iterdir()) == []


def test_fairlane_10(tmp_path):
    def callbacks(trial: Any) -> list[Any]:
        path = tmp_path / f"{trial.number}.keras"
        return [kc.ModelCheckpoint(path, "loss", save_best_only=True)]

    fl.compare(build, {"rate": [0.05, 1e-6]}, X, Y, callbacks=callbacks, **BRIEF)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.keras", "1.keras"]
    shared = kc.ModelCheckpoint(tmp_path / "best.keras", "loss", save_best_only=True)
    with fl.guard(), pytest.warns(fl.AlreadyTrainedWarning, match="callback ModelCheckpoint"):
        for name in ("first", "second"):
            fit(build(name=name), callbacks=[shared])


# --- 11: one History for two fits -----------------------------------------------------------------------


def test_leak_11():
    history = kc.History()
    results = [build().fit(X, Y, callbacks=[history], **BRIEF) for _ in range(2)]
    assert results[0] is results[1]


def test_fairlane_11():
    history = kc.History()
    models = [build(name=name) for name in "ab"]
    for model in models:
        fit(model, callbacks=[history])
    assert [shared.kind for shared in fl.shared_state(*models)] == ["callback"]
    results = fl.fit([build(), build()], X, Y, verbose=0)
    assert results[0] is not results[1]
    assert results[0].history["loss"] != results[1].history["loss"]


# --- 12: one metric for two models --------------------------------------------------------------------


def test_leak_12():
    metric = keras.metrics.MeanAbsoluteError()
    models = [build(), build()]
    for model in models:
        model.compile("sgd", "mse", metrics=[metric])
    for model in [*models, *models]:
        model.compute_metrics(X, Y, model(X), None)
    assert float(metric.count) == 128  # each model has shown it 64 samples


def test_fairlane_12():
    metric = keras.metrics.MeanAbsoluteError()
    models = [build(name="first"), build(name="second")]
    with fl.guard(), pytest.warns(fl.AlreadyTrainedWarning, match="metric MeanAbsoluteError"):
        for model in models:
            model.compile("sgd", "mse", metrics=[metric])
    with pytest.raises(fl.SharedStateError, match="metric"):
        fl.check_independent(*models)


# --- 13: one initializer for two layers -----------------------------------------------------------------


def twins() -> Any:
    draw = keras.initializers.HeNormal()
    return build(0.05, *(layers.Dense(3, kernel_initializer=draw, name=name) for name in "ab"))


def test_leak_13():
    model = twins()
    assert np.array_equal(kernel(model.layers[0]), kernel(model.layers[1]))


def test_fairlane_13():
    with (
        fl.guard(),
        pytest.warns(fl.AlreadyTrainedWarning, match="HeNormal object initializes layers 'a', 'b'"),
    ):
        twins()


# --- 14: a list of layers in two models -----------------------------------------------------------------


def test_leak_14():
    parts = [layers.Dense(2), layers.Dense(1)]
    a, b = (keras.Sequential([keras.Input((3,)), *parts]) for _ in "ab")
    a.compile("sgd", "mse")
    before = kernel(b)
    fit(a)
    assert not np.array_equal(kernel(b), before)


def test_fairlane_14():
    parts = [layers.Dense(2), layers.Dense(1)]
    models = [keras.Sequential([keras.Input((3,)), *parts]) for _ in "ab"]
    assert [shared.kind for shared in fl.shared_state(*models)] == ["layer", "layer"]
    with pytest.raises(fl.SharedStateError, match=r"not independent\. They share:\n  - layer 'dense"):
        fl.compare(lambda rate: build(rate, *parts[:1]), {"rate": [0.1, 0.2]}, X, Y, **BRIEF)


# --- 15: one seed generator for two models --------------------------------------------------------------


class Noise(layers.Layer):
    def __init__(self, generator: Any) -> None:
        super().__init__()
        self.generator = generator

    def call(self, x: Any) -> Any:
        return x + keras.random.normal(keras.ops.shape(x), seed=self.generator)


def test_leak_15():
    generator = keras.random.SeedGenerator(1)
    a, b = (keras.Sequential([keras.Input((3,)), Noise(generator)]) for _ in "ab")
    before = keras.ops.convert_to_numpy(generator.state)
    b.predict(X, verbose=0)
    assert not np.array_equal(keras.ops.convert_to_numpy(a.layers[0].generator.state), before)


def test_fairlane_15():
    generator = keras.random.SeedGenerator(1)
    models = [keras.Sequential([keras.Input((3,)), Noise(generator)]) for _ in "ab"]
    assert [shared.kind for shared in fl.shared_state(*models)] == ["seed generator"]
    with pytest.raises(fl.SharedStateError, match="seed generator"):
        fl.check_independent(*models)


# --- 16: one seed before a loop -------------------------------------------------------------------------


def test_leak_16():
    results = []
    for rates in ([0.05, 0.01], [0.01, 0.05]):
        keras.utils.set_random_seed(0)
        results.append({rate: fit(build(rate)) for rate in rates})
    assert results[0][0.01] != results[1][0.01]


@pytest.mark.parametrize("engine", ["lanes", "reference"])
def test_fairlane_16(engine):
    by_order = []
    for rates in ([0.05, 0.01], [0.01, 0.05]):
        study = fl.compare(build, {"rate": rates}, X, Y, engine=engine, epochs=2, **BRIEF)
        by_order.append(study.history.set_index(["rate", "epoch"])["loss"].sort_index())
    np.testing.assert_allclose(*by_order, rtol=1e-6)
    np.testing.assert_allclose(by_order[0][0.01], alone(build, 0, rate=0.01), rtol=1e-5)


# --- 17: seed and dtype policy are thread-local -----------------------------------------------------------


def in_a_thread(function: Any) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join(300)
    return results[0]


def test_leak_17():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        assert in_a_thread(lambda: keras.config.dtype_policy().name) == "float32"
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("engine", ["lanes", "reference"])
def test_fairlane_17(engine):
    def study() -> list[float]:
        return losses(fl.compare(build, [{}], X, Y, engine=engine, epochs=2, **BRIEF), 0)

    np.testing.assert_allclose(in_a_thread(study), alone(build, 0), rtol=1e-5)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        seen: list[str] = []

        def builder() -> Any:
            seen.append(keras.config.dtype_policy().name)
            return build()

        fl.compare(builder, [{}], X, Y, engine=engine, **BRIEF)
        assert set(seen) == {"mixed_bfloat16"}
    finally:
        keras.config.set_dtype_policy(before)


# --- 18: clear_session wipes the seed and the policy ------------------------------------------------------


def test_leak_18():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        keras.backend.clear_session()
        assert keras.config.dtype_policy().name == "float32"
    finally:
        keras.config.set_dtype_policy(before)


def test_fairlane_18():
    def builder() -> Any:
        keras.backend.clear_session()
        return build()

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        keras.utils.set_random_seed(5)
        expected = float(keras.random.normal(()))
        keras.utils.set_random_seed(5)
        fl.compare(builder, [{}], X, Y, **BRIEF)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        assert float(keras.random.normal(())) == expected
    finally:
        keras.config.set_dtype_policy(before)


# --- 19: deepcopy restarts dropout ------------------------------------------------------------------------


def noisy() -> Any:
    model = build(0.05, layers.Dense(8), layers.Dropout(0.5))
    fit(model)
    return model


def test_leak_19():
    model = noisy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = copy.deepcopy(model)
    assert fit(other, 1, shuffle=False) != fit(model, 1, shuffle=False)


def test_fairlane_19():
    model = noisy()
    other = fl.copy(model)
    assert fit(other, 2, shuffle=False) == fit(model, 2, shuffle=False)


# --- 20: a saved model does not go on exactly -----------------------------------------------------------


def test_leak_20(tmp_path):
    model = noisy()
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert fit(loaded, 1, shuffle=False) != fit(model, 1, shuffle=False)


def test_fairlane_20(tmp_path):
    """`copy` carries dropout's state in memory; a file can't, which the page says."""
    model = noisy()
    copied = fl.copy(model)
    generators = [m.layers[1].seed_generator.state for m in (model, copied)]
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, generators))


# --- 21: validation_split takes the last samples ----------------------------------------------------------


def sorted_labels() -> tuple[Any, Any]:
    y = np.repeat([0.0, 1.0], 16).astype("float32")[:, None]
    return np.tile(y, 3), y


def last_are_validated(validate: Any) -> None:
    """With labels sorted, a model that says 1 is right of all that is validated on."""
    x, y = sorted_labels()
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1, kernel_initializer="zeros")])
    model.layers[0].bias.assign([1.0])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    assert validate(model, x, y) == pytest.approx(0.0)


def test_leak_21():
    last_are_validated(
        lambda model, x, y: model.fit(x, y, validation_split=0.25, **BRIEF).history["val_loss"][0]
    )


def test_fairlane_21():
    """The same as Keras, by the contract; the page tells to shuffle or to stratify before."""
    last_are_validated(
        lambda model, x, y: fl.fit([model], x, y, validation_split=0.25, **BRIEF)[0].history["val_loss"][0]
    )


# --- 22: folds that go on from each other -----------------------------------------------------------------


def folds() -> Any:
    for i in range(4):
        held = np.arange(32) % 4 == i
        yield X[~held], Y[~held], X[held], Y[held]


def test_leak_22():
    model = build()
    first = [fit(model, 3, x=x, y=y)[0] for x, y, *_ in folds()]
    assert first[3] < first[0] / 2  # the last fold begins where the others ended


def test_fairlane_22():
    model = build()
    with fl.guard(), pytest.warns(fl.AlreadyTrainedWarning, match="has been trained for"):
        for x, y, *_ in folds():
            model.compile("sgd", "mse")
            fit(model, x=x, y=y)
    template = build()
    scores = [
        fl.compare(template, [{}], x, y, validation_data=(vx, vy), epochs=3, **BRIEF)
        for x, y, vx, vy in folds()
    ]
    starts = [losses(score, 0)[0] for score in scores]
    assert max(starts) < 2 * min(starts)


# --- 23: every first fit compiles -------------------------------------------------------------------------


class Traces(layers.Layer):
    """Counts how often Keras's step is traced through it."""

    seen = 0

    def call(self, x: Any) -> Any:
        Traces.seen += 1
        return x


def traced(rate: float = 0.05) -> Any:
    return build(rate, Traces())


def test_leak_23():
    counts = []
    for rate in (0.1, 0.2, 0.3):
        Traces.seen = 0
        model = traced(rate)
        built = Traces.seen
        fit(model)
        counts.append(Traces.seen - built)
    assert min(counts) > 0
    assert counts[1] == counts[2]


def test_fairlane_23():
    def traces(trials: int) -> int:
        Traces.seen = 0
        fl.compare(traced, {"rate": [0.1 / (i + 1) for i in range(trials)]}, X, Y, engine="lanes", **BRIEF)
        return Traces.seen

    few, many = traces(8), traces(16)
    # Building it, the symbolic step with which `fit` builds optimizer and metrics, and one trace, since the layer is
    # none of Keras's; nothing is compiled for it.
    per_model = 3
    assert many - few <= 8 * per_model


# --- the page -------------------------------------------------------------------------------------------

PAGE = Path(__file__).parent.parent / "docs" / "pitfalls.md"


def test_the_page_has_them_all_with_both_tests():
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 24))
    for number, text in rows:
        names = [f"test_leak_{int(number):02}", f"test_fairlane_{int(number):02}"]
        assert re.findall(r"`(test_\w+)`", text) == names
        assert all(callable(globals()[name]) for name in names)
