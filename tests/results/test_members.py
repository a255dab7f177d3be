"""What the trained models of a study predict, and how they do: as Keras gives it for one after another."""

from collections.abc import Callable
from typing import Any

import jax
import keras
import numpy as np
import pytest

import fairlane as fl
from _trial import FIT, X, Y, build
from fairlane.engines.program import many
from fairlane.results.study import members
from fairlane.trials import Variant

layers = keras.layers
_rng = np.random.default_rng(3)
IMAGES = _rng.normal(size=(20, 6, 6, 1)).astype("float32")
SERIES = _rng.normal(size=(20, 5, 2)).astype("float32")


def trained(
    builder: Callable[..., keras.Model], x: Any, y: Any, variants: Any = ({},), **more: Any
) -> fl.Study:
    given = {"seeds": 3, "epochs": 1, "batch_size": 8, "verbose": 0, **more}
    return fl.compare(builder, variants if isinstance(variants, dict) else list(variants), x, y, **given)


def compiled(inputs: Any, outputs: Any, loss: Any = "mse", **more: Any) -> keras.Model:
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.1), loss, **more)
    return model


@pytest.fixture
def counted(monkeypatch) -> list[str]:
    """The models that Keras itself predicts with, or evaluates."""
    names: list[str] = []
    own = members._Data.run

    def noted(self: Any, model: Any, *args: Any, **options: Any) -> Any:
        names.append(model.name)
        return own(self, model, *args, **options)

    monkeypatch.setattr(members._Data, "run", noted)
    return names


def check_predictions(study: fl.Study, x: Any, names: list[str], by_keras: int = 0, **given: Any) -> Any:
    """Predictions of all are those of each; so many of the models were left to Keras."""
    names.clear()
    found = study.predict(x, **given)
    assert len(names) == by_keras
    size = {"batch_size": given["batch_size"]} if "batch_size" in given else {}
    for trial in range(len(study.trials)):
        expected = study.model(trial).predict(x, verbose=0, **size)
        keras.tree.map_structure(
            lambda a, b, i=trial: np.testing.assert_allclose(a[i], b, atol=1e-6), found, expected
        )
    return found


def check_evaluations(
    study: fl.Study, x: Any, y: Any, names: list[str], by_keras: int = 0, **given: Any
) -> Any:
    names.clear()
    found = study.evaluate(x, y, **given)
    assert len(names) == by_keras
    for trial, row in enumerate(found.to_dict("records")):
        expected = study.model(trial).evaluate(x, y, verbose=0, return_dict=True, **given)
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-5, abs=1e-6)
    return found


@pytest.fixture(scope="module")
def study() -> fl.Study:
    given = {**FIT, "epochs": 2}
    return fl.compare(build, {"lr": [0.05, 0.01], "units": [4]}, X, Y, seeds=3, verbose=0, **given)


def test_predictions_have_an_axis_for_trials(study, counted):
    found = check_predictions(study, X, counted)  # 42 samples: a batch of 32, and one of 10
    assert (found.shape, found.dtype) == ((6, 42, 1), "float32")
    np.testing.assert_allclose(study.predict(X, [4, 1]), found[[4, 1]], atol=1e-6)
    np.testing.assert_allclose(study.predict(X, variant=1), found[3:], atol=1e-6)
    np.testing.assert_allclose(study.predict(X, variant={"lr": 0.05}), found[:3], atol=1e-6)
    best = study.best("loss")
    np.testing.assert_allclose(study.predict(X, best, batch_size=5)[0], found[best.number], atol=1e-6)


def test_evaluations_are_a_row_per_trial(study, counted):
    frame = check_evaluations(study, X, Y, counted)
    assert frame.columns.tolist() == ["trial", "lr", "units", "seed", "loss", "mae"]
    assert frame["trial"].tolist() == [0, 1, 2, 3, 4, 5]
    weights = np.linspace(0, 2, len(X))
    check_evaluations(study, X, Y, counted, sample_weight=weights, batch_size=5)
    assert study.evaluate(X, Y, trials=[5, 2])["trial"].tolist() == [5, 2]


def test_models_run_as_many_at_a_time_as_fit_into_memory(study, monkeypatch):
    widths = []
    own = many._run_chunk

    def small(work: Any, group: Any, values: Any, *rest: Any) -> Any:
        widths.append(len(values))
        if len(values) > 2:
            raise MemoryError
        return own(work, group, values, *rest)

    expected = study.predict(X)
    monkeypatch.setattr(many, "_run_chunk", small)
    np.testing.assert_allclose(study.predict(X), expected, atol=1e-6)
    assert widths == [6, 3, 1, 1, 1, 1, 1, 1]


def test_one_model_is_left_to_keras(study, counted):
    assert study.predict(X, 2).shape == (1, 42, 1)
    assert len(counted) == 1
    assert len(study.evaluate(X, Y, trials=2)) == 1


def test_convolutions_with_statistics(counted):
    def builder() -> keras.Model:
        inputs = keras.Input((6, 6, 1))
        hidden = layers.BatchNormalization()(layers.Conv2D(3, 3)(inputs))
        outputs = layers.Dense(3, "softmax")(layers.Flatten()(layers.MaxPooling2D()(hidden)))
        return compiled(inputs, outputs, "sparse_categorical_crossentropy", metrics=["accuracy"])

    study = trained(builder, IMAGES, np.arange(20) % 3)
    check_predictions(study, IMAGES, counted, batch_size=8)
    check_evaluations(study, IMAGES, np.arange(20) % 3, counted, batch_size=8)


def test_recurrent_models_of_two_sizes_run_size_by_size(counted, monkeypatch):
    def builder(units: int) -> keras.Model:
        inputs = keras.Input((5, 2))
        return compiled(inputs, layers.Dense(1)(layers.LSTM(units)(inputs)))

    study = trained(builder, SERIES, np.zeros((20, 1)), {"units": [2, 3]}, seeds=2)
    compiled_pieces = []
    own = many._compiled
    monkeypatch.setattr(many, "_compiled", lambda *args: compiled_pieces.append(1) or own(*args))
    check_predictions(study, SERIES, counted)
    assert len(compiled_pieces) == 2


def test_nested_inputs_and_outputs(counted):
    def builder() -> keras.Model:
        inputs = {"a": keras.Input((3,), name="a"), "b": keras.Input((2,), name="b")}
        both = layers.Concatenate()([inputs["a"], inputs["b"]])
        outputs = {"p": layers.Dense(1, name="p")(both), "q": layers.Dense(2, name="q")(both)}
        return compiled(inputs, outputs, {"p": "mse", "q": "mae"})

    x = {"a": X[:20], "b": X[:20, :2]}
    y = {"p": X[:20, :1], "q": X[:20, :2]}
    study = trained(builder, x, y)
    found = check_predictions(study, x, counted)
    assert {name: array.shape for name, array in found.items()} == {"p": (3, 20, 1), "q": (3, 20, 2)}
    check_evaluations(study, x, y, counted)


class Counts(layers.Layer):
    """Its state changes whenever it is called, and its output with it."""

    def build(self, shape: Any) -> None:
        self.calls = self.add_weight(shape=(), trainable=False, initializer="zeros")

    def call(self, inputs: Any) -> Any:
        self.calls.assign_add(1.0)
        return inputs * self.calls


class Calls(layers.Layer):
    """Runs Python in each step."""

    def call(self, inputs: Any) -> Any:
        return (
            jax.pure_callback(
                lambda a: np.asarray(a) * 2, jax.ShapeDtypeStruct(inputs.shape, "float32"), inputs
            )
            if isinstance(inputs, jax.Array)
            else inputs
        )


@pytest.mark.parametrize(("layer", "by_keras"), [(Counts, 0), (Calls, 2)])
def test_code_of_ones_own(layer, by_keras, counted):
    def builder() -> keras.Model:
        inputs = keras.Input((3,))
        return compiled(inputs, layer()(layers.Dense(1)(inputs)))

    study = trained(builder, X, Y, seeds=2, **({} if layer is Counts else {"epochs": 0}))
    check_predictions(study, X, counted, by_keras)


def test_builders_that_draw_or_count_are_not_guessed(counted):
    calls = []

    def builder() -> keras.Model:
        calls.append(1)
        inputs = keras.Input((3,))
        slope = float(np.random.randint(1, 5)) / 10  # noqa: NPY002
        return compiled(inputs, layers.LeakyReLU(negative_slope=slope)(layers.Dense(1)(inputs)))

    study = trained(builder, X, Y, seeds=4)
    found = study.predict(X)
    for trial in range(4):
        np.testing.assert_allclose(found[trial], study.model(trial).predict(X, verbose=0), atol=1e-6)


def test_models_of_many_seeds_are_not_all_built(monkeypatch):
    study = trained(build, X, Y, seeds=6)
    built = []
    own = fl.Study.model
    monkeypatch.setattr(fl.Study, "model", lambda self, trial: built.append(trial) or own(self, trial))
    found = study.predict(X)
    assert len(built) == 2
    np.testing.assert_allclose(found[5], own(study, 5).predict(X, verbose=0), atol=1e-6)


def test_a_stored_study_and_data_read_in_batches(tmp_path, counted):
    trained(build, X, Y, store=tmp_path / "runs.db", name="a", seeds=4)
    study = fl.open(tmp_path / "runs.db", "a")
    check_predictions(study, X, counted)
    batches = ((X[i : i + 10], Y[i : i + 10]) for i in range(0, 42, 10))
    expected = study.evaluate(X, Y, batch_size=10)
    np.testing.assert_allclose(study.evaluate(batches)["loss"], expected["loss"], rtol=1e-5)


def test_what_fits_nothing_is_refused(study):
    with pytest.raises(fl.StudyError, match=r"the model of trial 0 .*can't predict x: .*float32 \(42, 2\)"):
        study.predict(X[:, :2])
    with pytest.raises(fl.StudyError, match=r"Keras can't use these data: .*y: float32"):
        study.evaluate(X, Y[:5])
    with pytest.raises(fl.StudyError, match="give trials= or variant=, not both"):
        study.predict(X, 0, variant=0)
    with pytest.raises(fl.StudyError, match=r"variant must be the number of a variant, 0 to 1"):
        study.predict(X, variant=7)
    with pytest.raises(fl.StudyError, match="fits 2 variants"):
        study.predict(X, variant={"units": 4})
    with pytest.raises(fl.StudyError, match="trials must be trials of this study"):
        study.predict(X, "all")
    with pytest.raises(fl.StudyError, match="trials is an empty list"):
        study.predict(X, [])
    with pytest.raises(fl.StudyError, match="there is no 9 in this study"):
        study.predict(X, [9])


def test_a_variant_of_another_study_is_not_taken_by_its_number(study):
    with pytest.raises(
        fl.StudyError, match=r"variant=lr=0.3, units=4 is no variant of this study; .*0 \(lr="
    ):
        study.predict(X, variant=Variant(0, {"lr": 0.3, "units": 4}))
    same = Variant(0, {"units": 4, "lr": 0.01})  # where another study has it first
    np.testing.assert_array_equal(study.predict(X, variant=same), study.predict(X, variant=1))
    with pytest.raises(fl.StudyError, match="is no variant of this study"):
        study.best_epochs(Variant(1, {"lr": 0.05}))


def test_trials_without_a_model_are_left_out_or_refused():
    def builder(units: int) -> keras.Model:
        if units == 3:
            raise ValueError("no 3")
        return build(units=units)

    study = trained(builder, X, Y, {"units": [4, 3]}, seeds=2)
    assert study.predict(X).shape == (2, 42, 1)
    with pytest.raises(fl.StudyError, match=r"is failed: ValueError: no 3; it has no trained weights"):
        study.predict(X, [0, 2])
    with pytest.raises(fl.StudyError, match="no trial of variant 1 is done"):
        study.predict(X, variant=1)


def test_outputs_of_other_shapes_are_no_array():
    def builder(outputs: int) -> keras.Model:
        inputs = keras.Input((3,))
        return compiled(inputs, layers.Dense(outputs)(inputs))

    study = trained(builder, X, Y, {"outputs": [1, 2]}, seeds=1)
    with pytest.raises(fl.StudyError, match=r"have different shapes \(42x1 and 42x2\)"):
        study.predict(X)
    assert len(study.evaluate(X, Y)) == 2
    with pytest.raises(fl.StudyError, match="have different outputs"):
        study.ensemble(trials=[0, 1])
