"""Datasets of TensorFlow and loaders of torch on lanes, with Keras on JAX. Run where `fairlane[backends]` is."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import fairlane as fl
from fairlane.models import session

_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(22, 3)).astype("float32")
Y = (X.sum(axis=1, keepdims=True) > 0).astype("float32")
RATES = {"learning_rate": [0.1, 0.01]}


def build(learning_rate=0.1):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dropout(0.3)])
    model.add(keras.layers.Dense(1))
    model.compile(keras.optimizers.SGD(learning_rate), "mse")
    return model


def check(data, **arguments):
    """Two lanes that share the source, and Keras alone on the same source, one after another."""
    arguments = {"epochs": 2, "shuffle": False, "verbose": 0, **arguments}
    with session.left_as_found():
        study = fl.compare(build, RATES, data, engine="lanes", **arguments)
        assert study.trials["state"].tolist() == ["done"] * 2, study.trials["error"].tolist()
        for trial, rate in enumerate(RATES["learning_rate"]):
            keras.utils.set_random_seed(0)
            expected = build(rate).fit(data, **arguments).history
            mine = study.history[study.history["trial"] == trial]
            for log, values in expected.items():
                np.testing.assert_allclose(mine[log], values, rtol=1e-5, err_msg=log)


@pytest.mark.filterwarnings("ignore:Your input ran out of data", "ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["plain", "weighted", "unknown length", "endless", "sparse"])
def test_datasets_of_tensorflow(kind):
    tf = pytest.importorskip("tensorflow", reason="pip install 'fairlane[backends]' brings TensorFlow")
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(5)
    match kind:
        case "plain":
            check(data, validation_data=data)
        case "weighted":
            check(data, class_weight={0: 1.0, 1: 2.0})
        case "unknown length":
            check(data.filter(lambda x, y: True))
        case "endless":
            check(data.repeat(), steps_per_epoch=3, epochs=3)
        case "sparse":
            rows = tf.data.Dataset.from_tensor_slices((tf.sparse.from_dense(X), Y)).batch(11)
            study = fl.compare(build, RATES, rows, epochs=1, shuffle=False, verbose=0)
            assert study.trials["state"].tolist() == ["done"] * 2


def test_loaders_of_torch():
    torch = pytest.importorskip("torch", reason="pip install 'fairlane[backends]' brings torch")
    rows = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    loader = torch.utils.data.DataLoader(rows, batch_size=5)
    check(loader, validation_data=torch.utils.data.DataLoader(rows, batch_size=8))
