"""Ensembles: one model that is the mean of several, saved and loaded by Keras alone."""

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import fairlane as fl
from fairlane.models.ensembles import Scale, scales

layers = keras.layers
_rng = np.random.default_rng(5)
X = _rng.normal(size=(48, 4)).astype("float32")
LABELS = (X[:, 0] > 0).astype("int32") + (X[:, 1] > 0.5)
HELD = _rng.normal(size=(30, 4)).astype("float32")
HELD_LABELS = (HELD[:, 0] > 0).astype("int32") + (HELD[:, 1] > 0.5)


def trained(builder: Callable[..., keras.Model], y: Any, variants: Any = None, **more: Any) -> fl.Study:
    given = {"seeds": 4, "epochs": 3, "batch_size": 8, "validation_split": 0.25, "verbose": 0, **more}
    return fl.compare(builder, variants or [{}], X, y, **given)


def classifier(activation: Any, units: int, loss: Any, metrics: Any, lr: float = 0.3) -> keras.Model:
    inputs = keras.Input((4,))
    hidden = layers.Dropout(0.2)(layers.Dense(6, "tanh")(inputs))
    model = keras.Model(inputs, layers.Dense(units, activation)(hidden))
    model.compile(keras.optimizers.SGD(lr), loss, metrics=metrics)
    return model


def softmax(lr: float = 0.3) -> keras.Model:
    return classifier("softmax", 3, "sparse_categorical_crossentropy", ["accuracy"], lr)


def logits() -> keras.Model:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return classifier(None, 3, loss, [keras.metrics.SparseCategoricalAccuracy(name="accuracy")])


@pytest.fixture(scope="module")
def study() -> fl.Study:
    return trained(softmax, LABELS, {"lr": [0.3, 0.01]})


def test_the_mean_of_the_best(study):
    model = study.ensemble(3)
    found = model.members
    losses = study.trials.set_index("trial")["val_loss"].sort_values()
    assert found["trial"].tolist() == losses.index[:3].tolist()
    assert found.columns.tolist() == ["member", "trial", "lr", "seed", "count", "weight", "value"]
    np.testing.assert_allclose(found["value"], losses[:3])
    expected = study.predict(HELD, found["trial"].tolist()).mean(axis=0)
    np.testing.assert_allclose(model.predict(HELD, verbose=0), expected, atol=1e-6)
    assert [layer.name for layer in model.layers if isinstance(layer, keras.Model)] == found[
        "member"
    ].tolist()
    logs = model.evaluate(HELD, HELD_LABELS, verbose=0, return_dict=True)
    accuracy = (expected.argmax(axis=1) == HELD_LABELS).mean()
    assert logs["accuracy"] == pytest.approx(accuracy)
    model.fit(X, LABELS, verbose=0)
    assert np.isfinite(model.predict(X, verbose=0)).all()


def test_all_seeds_of_a_variant_are_a_deep_ensemble(study):
    assert study.ensemble(variant=0).members["trial"].tolist() == [0, 1, 2, 3]
    assert study.ensemble(trials=[5, 2]).members["trial"].tolist() == [5, 2]
    assert len(study.ensemble().members) == 8  # the best ten, of eight
    best = study.ensemble(1, on=(HELD, HELD_LABELS), objective="accuracy").members
    frame = study.evaluate(HELD, HELD_LABELS)
    assert best["value"].item() == frame["accuracy"].max()


def test_probabilities_are_averaged_and_not_logits():
    study = trained(logits, LABELS, seeds=3, epochs=1)
    model = study.ensemble(variant=0)
    of_members = np.asarray(keras.ops.softmax(study.predict(HELD)))
    given = model.predict(HELD, verbose=0)
    np.testing.assert_allclose(np.asarray(keras.ops.softmax(given)), of_members.mean(axis=0), atol=1e-6)
    assert np.abs(given - study.predict(HELD).mean(axis=0)).max() > 1e-4
    logs = model.evaluate(HELD, HELD_LABELS, verbose=0, return_dict=True)
    alone = study.evaluate(HELD, HELD_LABELS)
    assert logs["loss"] < alone["loss"].max()
    greedy = study.ensemble(5, method="greedy", on=(HELD, HELD_LABELS))
    value = greedy.evaluate(HELD, HELD_LABELS, verbose=0, return_dict=True)["loss"]
    assert value <= alone["loss"].min() + 1e-6


def test_greedy_picks_with_replacement_what_improves_the_mean(study):
    model = study.ensemble(12, method="greedy", on=(HELD, HELD_LABELS))
    found = model.members
    predictions = study.predict(HELD)

    def loss(mean: Any) -> float:
        return float(-np.log(mean[np.arange(len(mean)), HELD_LABELS]).mean())

    order: list[int] = []
    values = []
    for _ in range(12):
        ways = [loss(predictions[[*order, i]].mean(axis=0)) for i in range(8)]
        order.append(int(np.argmin(ways)))
        values.append(min(ways))
    order = order[: int(np.argmin(values)) + 1]
    assert found.set_index("trial")["count"].to_dict() == {i: order.count(i) for i in order}
    assert found["weight"].sum() == pytest.approx(1)
    assert found["count"].nunique() > 1
    np.testing.assert_allclose(model.predict(HELD, verbose=0), predictions[order].mean(axis=0), atol=1e-6)
    by_accuracy = study.ensemble(method="greedy", on=(HELD, HELD_LABELS), objective="val_accuracy")
    logs = by_accuracy.evaluate(HELD, HELD_LABELS, verbose=0, return_dict=True)
    assert logs["accuracy"] >= study.evaluate(HELD, HELD_LABELS)["accuracy"].max()


LOADS = """
import sys, numpy as np, keras
x, y = np.load("x.npy"), np.load("y.npy")
for i in range(3):
    model = keras.saving.load_model(f"{i}.keras")
    np.testing.assert_allclose(model.predict(x, verbose=0), np.load(f"{i}.npy"), atol=1e-6)
    assert np.isfinite(model.evaluate(x, y, verbose=0)).all()
assert not any(name.partition(".")[0] == "fairlane" for name in sys.modules)
"""


def test_keras_alone_loads_it(study, tmp_path):
    of_logits = trained(logits, LABELS, seeds=2, epochs=1)
    models = [
        study.ensemble(2),
        study.ensemble(12, method="greedy", on=(HELD, HELD_LABELS)),
        of_logits.ensemble(variant=0),
    ]
    np.save(tmp_path / "x.npy", HELD)
    np.save(tmp_path / "y.npy", HELD_LABELS)
    for i, model in enumerate(models):
        model.save(tmp_path / f"{i}.keras")
        np.save(tmp_path / f"{i}.npy", model.predict(HELD, verbose=0))
    environment = {**os.environ, "PYTHONPATH": "", "FAIRLANE_GUARD": ""}
    command = [sys.executable, "-c", LOADS]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_nested_inputs_and_outputs():
    def builder() -> keras.Model:
        inputs = {"a": keras.Input((4,), name="a"), "b": keras.Input((1,), name="b")}
        both = layers.Concatenate()([inputs["a"], inputs["b"]])
        outputs = {"p": layers.Dense(1, name="p")(both), "q": layers.Dense(1, name="q")(both)}
        model = keras.Model(inputs, outputs)
        losses = {"p": "mse", "q": keras.losses.BinaryCrossentropy(from_logits=True)}
        model.compile("sgd", losses, metrics={"p": ["mae"]})
        return model

    x = {"a": X, "b": X[:, :1]}
    y = {"p": X[:, :1], "q": (X[:, 1:2] > 0).astype("float32")}
    study = fl.compare(builder, [{}], x, y, seeds=2, epochs=1, verbose=0)
    model = study.ensemble(variant=0)
    found, alone = model.predict(x, verbose=0), study.predict(x)
    np.testing.assert_allclose(found["p"], alone["p"].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(
        1 / (1 + np.exp(-found["q"])), (1 / (1 + np.exp(-alone["q"]))).mean(axis=0), atol=1e-6
    )
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    assert set(logs) == set(study.evaluate(x, y).columns) - {"trial", "seed"}
    held = {"a": HELD, "b": HELD[:, :1]}
    targets = {"p": HELD[:, :1], "q": (HELD[:, 1:2] > 0).astype("float32")}
    assert len(study.ensemble(3, method="greedy", on=(held, targets)).members) >= 1


def test_what_can_not_be_chosen_is_refused(study):
    with pytest.raises(fl.StudyError, match="method='greedy' chooses by how good means are on held-out data"):
        study.ensemble(method="greedy")
    with pytest.raises(fl.StudyError, match="on holds the x that the models were trained on"):
        study.ensemble(method="greedy", on=(X.copy(), LABELS))
    with pytest.raises(fl.StudyError, match="method must be 'mean' or 'greedy', not 'median'"):
        study.ensemble(method="median")
    with pytest.raises(fl.StudyError, match="on must be held-out data"):
        study.ensemble(on=HELD)
    for method in ("mean", "greedy"):
        with pytest.raises(fl.StudyError, match="the models have no metric 'auc'; there are "):
            study.ensemble(method=method, on=(HELD, HELD_LABELS), objective="auc")
    with pytest.raises(fl.StudyError, match="top must be a whole number, 1 or more"):
        study.ensemble(0)

    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs)

    def builder() -> keras.Model:
        model = Own()
        model.compile("sgd", "mse")
        return model

    own = trained(builder, LABELS, seeds=2, epochs=1)
    with pytest.raises(fl.StudyError, match=r"is of a class of its own \(Own\)"):
        own.ensemble(variant=0)
    with pytest.raises(fl.StudyError, match="is no graph of layers"):
        own.ensemble(method="greedy", on=(HELD, HELD_LABELS))


def test_members_disagree_on_a_share_of_samples(study):
    found = study.disagreement(HELD, trials=[0, 4, 7])
    classes = study.predict(HELD, [0, 4, 7]).argmax(axis=-1)
    assert found.index.tolist() == found.columns.tolist() == [0, 4, 7]
    assert found.loc[0, 7] == found.loc[7, 0] == (classes[0] != classes[2]).mean()
    assert np.diag(found).tolist() == [0, 0, 0]


def test_a_scale_and_back():
    values = np.array([[-900.0, 3.0, 0.0], [40.0, -40.0, 2.0]])
    for scale in (Scale("sigmoid"), Scale("softmax")):
        mean = scale.to_mean(values)
        again = scale.to_mean(scale.from_mean(mean))
        np.testing.assert_allclose(mean, again, atol=1e-12)


# --- figures and calibration ----------------------------------------------------------------------------


def test_the_value_against_the_size(study):
    (axes,) = study.plot("ensemble", on=(HELD, HELD_LABELS)).axes
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    order = study.trials.set_index("trial")["val_loss"].sort_values().index.tolist()
    alone = study.evaluate(HELD, HELD_LABELS, trials=order)["loss"]
    np.testing.assert_allclose(lines["member alone"], alone, rtol=1e-5)
    three = study.ensemble(3).evaluate(HELD, HELD_LABELS, verbose=0, return_dict=True)["loss"]
    assert lines["mean of the best"][2] == pytest.approx(three, rel=1e-5)
    greedy = lines["greedy, chosen on these data"]
    assert greedy[0] == pytest.approx(alone.min(), rel=1e-5)
    assert greedy[-1] <= min(lines["mean of the best"]) + 1e-6
    assert axes.get_ylabel() == "loss"
    with pytest.raises(fl.StudyError, match=r"plot\('ensemble'\) needs on=\(x, y\)"):
        study.plot("ensemble")


def test_calibration_of_members_and_of_their_mean(study):
    (axes,) = study.plot("calibration", on=(HELD, HELD_LABELS), variant=0, bins=5).axes
    mean = study.predict(HELD, variant=0).mean(axis=0)
    error = fl.expected_calibration_error(HELD_LABELS, mean, bins=5)
    labels = [line.get_label() for line in axes.lines]
    assert f"their mean, ECE {error:.3f}" in labels
    assert len(labels) == 1 + 4 + 1


def test_the_expected_calibration_error():
    confident = np.array([0.95] * 10 + [0.65] * 10)
    y = [1] * 9 + [0] + [1] * 5 + [0] * 5
    expected = 0.5 * 0.05 + 0.5 * 0.15
    assert fl.expected_calibration_error(y, confident) == pytest.approx(expected)
    assert fl.expected_calibration_error(y, confident[:, None]) == pytest.approx(expected)
    both = np.stack([1 - confident, confident], axis=1)
    assert fl.expected_calibration_error(np.eye(2)[y], both, bins=10) == pytest.approx(expected)
    assert fl.expected_calibration_error([0, 1], [[1.0, 0.0], [0.0, 1.0]]) == 0
    draws = np.random.default_rng(0)
    p = draws.uniform(size=20000)
    assert fl.expected_calibration_error(draws.uniform(size=20000) < p, p) < 0.01


def test_what_is_no_probability_is_refused():
    with pytest.raises(fl.StudyError, match="probabilities must be 0 or more and have the sum 1"):
        fl.expected_calibration_error([0], [[2.0, -1.0]])
    with pytest.raises(
        fl.StudyError, match="y must be the classes of the samples, whole numbers from 0 to 1"
    ):
        fl.expected_calibration_error([2], [[0.5, 0.5]])
    with pytest.raises(fl.StudyError, match="y has 2 samples, and probabilities 1"):
        fl.expected_calibration_error([0, 1], [[0.5, 0.5]])
    with pytest.raises(fl.StudyError, match="bins must be a whole number"):
        fl.expected_calibration_error([0], [[0.5, 0.5]], bins=0)


def test_cross_validations_are_chosen_by_out_of_fold_predictions():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("float32")[:, None]

    def build(learning_rate):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
        model.compile(keras.optimizers.SGD(learning_rate), "binary_crossentropy")
        return model

    study = fl.compare(build, {"learning_rate": [1e-4, 1.0]}, x, y, cv=3, seeds=2, epochs=3, verbose=0)
    best = study.ensemble(top=1, on="oof")
    assert best.members["learning_rate"].tolist() == [1.0] * 3
    assert best.members["fold"].tolist() == [0, 1, 2]
    one = study.oof(trials=best.members["trial"].tolist()).sort_values("sample")["prediction"].to_numpy()
    expected = keras.losses.BinaryCrossentropy()(y[:, 0], one)
    np.testing.assert_allclose(best.members["value"], float(expected), rtol=1e-5)
    np.testing.assert_allclose(
        best.predict(x, verbose=0), study.predict(x, best.members["trial"].tolist()).mean(axis=0), rtol=1e-5
    )
    greedy = study.ensemble(method="greedy", on="oof")
    assert greedy.members["weight"].sum() == pytest.approx(1)
    with pytest.raises(fl.errors.StudyError, match="the study has no folds"):
        fl.compare(build, [{"learning_rate": 1.0}], x, y, verbose=0).ensemble(on="oof")


def test_a_sample_of_several_folds_counts_with_the_mean_of_its_predictions():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(20, 2)).astype("float32"), rng.normal(size=(20, 1)).astype("float32")

    def build():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    halves = [(np.arange(10), np.arange(10, 20)), (np.arange(10, 20), np.arange(10))]
    again = [(np.arange(0, 20, 2), np.arange(1, 20, 2)), (np.arange(1, 20, 2), np.arange(0, 20, 2))]
    study = fl.compare(build, [{}], x, y, cv=halves + again, verbose=0)
    found = study.ensemble(top=1, on="oof").members["value"].iloc[0]
    means = study.oof().groupby("sample")["prediction"].mean().to_numpy()
    np.testing.assert_allclose(found, np.mean((means - y[:, 0]) ** 2), rtol=1e-5)
    with pytest.raises(fl.errors.StudyError, match="x has no samples, so there is nothing to predict"):
        study.predict(x[:0])
    with pytest.warns(fl.errors.FairlaneWarning) as warned:
        assert len(study.ensemble(top=9, objective="loss").members) == 4
    said = [str(one.message) for one in warned]
    assert any("top=9, and there are 4 trials with a value" in one for one in said)
    assert any("on='oof' chooses whole cross-validations" in one for one in said)


def own_logits(y, found):
    return keras.losses.sparse_categorical_crossentropy(y, found, from_logits=True)


class CallsWithLogits(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)


@pytest.mark.parametrize(
    ("loss", "is_told"),
    [
        (own_logits, True),
        (lambda y, p: keras.losses.binary_crossentropy(y, p, from_logits=True), True),
        (functools.partial(keras.losses.sparse_categorical_crossentropy, from_logits=True), True),
        (CallsWithLogits(), True),
        (lambda y, p: keras.losses.binary_crossentropy(y, p, from_logits=False), False),
        (keras.losses.binary_crossentropy, False),
        (keras.losses.BinaryCrossentropy(), False),
        ("mse", False),
    ],
)
def test_logits_of_a_loss_of_ones_own_are_not_averaged_as_values(loss, is_told):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model.compile("sgd", loss)
    if is_told:
        with pytest.raises(
            fl.StudyError, match="has from_logits=True, and it is not known which probabilities"
        ):
            scales(model)
    else:
        assert scales(model) == [Scale()]
