"""How the models of a variant are described, where a builder draws another one for each seed."""

import json

import keras
import numpy as np
import pytest

import fairlane as fl
from fairlane.models.recipes.individual import are_alike, described_with, is_individual, of_trial

X = np.random.RandomState(0).normal(size=(16, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def drawn():
    activation, units = np.random.choice(["relu", "tanh"]), int(np.random.choice([2, 3]))  # noqa: NPY002
    layers = [keras.Input((3,)), keras.layers.Dense(units, str(activation)), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("engine", ["lanes", "reference"])
def test_a_model_that_a_seed_has_drawn_is_read_back(tmp_path, engine):
    given = {"store": tmp_path / "runs.db", "name": "a", "engine": engine, "verbose": 0}
    fl.compare(drawn, [{}], X, Y, seeds=[3], **given)
    study = fl.compare(drawn, [{}], X, Y, seeds=6, **given)  # seed 3 is trial 0
    models = [study.model(number) for number in range(6)]
    assert len({(one.layers[0].units, one.layers[0].activation) for one in models}) > 2
    expected = np.stack([model.predict(X, verbose=0) for model in models])
    found = fl.open(tmp_path / "runs.db", "a")
    for number in range(6):
        np.testing.assert_allclose(found.model(number).predict(X, verbose=0), expected[number], atol=1e-6)
    np.testing.assert_allclose(found.predict(X), expected, atol=1e-6)


def plain(activation="relu", units=4, rate=0.1):
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(units, activation), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


def test_a_builder_that_gives_another_model_is_said(tmp_path):
    study = fl.compare(plain, [{}], X, Y, store=tmp_path / "runs.db", name="a", verbose=0)
    same = fl.open(tmp_path / "runs.db", "a", build=lambda: plain(rate=0.5))
    np.testing.assert_allclose(same.predict(X), study.predict(X), atol=1e-6)
    other = fl.open(tmp_path / "runs.db", "a", build=lambda: plain("tanh"))
    with pytest.warns(
        fl.FairlaneWarning, match=r"another model .*\(dense, activation is relu there and tanh here"
    ):
        other.model(0)


def text(activation="relu", seed=0, batch=None, **more):
    return json.dumps({"config": {"activation": activation, "seed": seed}, "batch": batch, **more})


def test_only_models_that_differ_have_a_description_of_their_own():
    assert are_alike(text(), text(seed=3, batch=[8, 3]))
    first = described_with(None, 0, text())
    assert first == text()
    assert described_with(first, 1, text(seed=1)) == first
    both = described_with(first, 2, text("tanh"))
    assert is_individual(both)
    assert [json.loads(of_trial(both, n))["config"]["activation"] for n in range(3)] == [
        "relu",
        "relu",
        "tanh",
    ]
    assert described_with(both, 2, text()) == first  # trained again, with another builder
    later = described_with(both, 0, text(phase=1))
    assert later == text(phase=1)
    behind = described_with(later, 1, text())  # it is still in the phase before
    assert of_trial(behind, 0) == json.dumps({"individual": True, **json.loads(later)})
    assert json.loads(of_trial(behind, 1)).get("phase", 0) == 0
    assert described_with(behind, 1, text(phase=1)) == later
    assert described_with("no JSON", 0, text()) == text()
    for n in range(120):
        both = described_with(both, n + 3, text(f"number {n}"))
    assert "draws a model for each seed" in of_trial(both, 122)
