"""A worker's import of Keras leaves out what it seldom needs, and gives it where it is needed after all."""

import importlib
import json
import os
import subprocess
import sys
from types import ModuleType

import pandas as pd
import pytest

from fairlane.kit import lean_keras

PROGRAM = """
import json, sys
from fairlane.kit.lean_keras import import_keras
import_keras()
import_keras()  # once is enough
found = {"early": [name for name in ("sklearn", "matplotlib", "pandas") if name in sys.modules]}
import keras, numpy as np
x, y = np.arange(12.0).reshape(6, 2) / 10, np.arange(6.0)

def losses(x, y):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model.fit(x, y, batch_size=2, epochs=2, verbose=0).history["loss"]

found["arrays"] = losses(x, y)
found["still"] = "pandas" in sys.modules
import pandas as pd
found["frames"] = losses(pd.DataFrame(x), pd.Series(y))
from sklearn.base import BaseEstimator
found["wrapper"] = issubclass(keras.wrappers.SKLearnClassifier, BaseEstimator)
import matplotlib.pyplot
found["gallery"] = sys.modules[keras.visualization.plot_image_gallery.__module__].plt is matplotlib.pyplot
print(json.dumps(found))
"""


def test_nothing_is_missing_where_it_is_needed():
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["early"] == []
    assert not found["still"]
    assert found["arrays"] == found["frames"]
    assert found["wrapper"]
    assert found["gallery"]


@pytest.fixture
def stand_in(monkeypatch):
    """What is imported as pandas meanwhile."""
    made = lean_keras._Pandas()
    monkeypatch.setitem(sys.modules, "pandas", made)
    yield made
    sys.modules["pandas"] = pd


def test_its_classes_have_the_instances_of_the_real_ones(stand_in):
    frame = stand_in.DataFrame
    assert not isinstance(pd.DataFrame(), frame)  # as long as nobody has imported pandas
    sys.modules["pandas"] = pd
    assert isinstance(pd.DataFrame(), (int, frame))
    assert not isinstance(pd.Series(dtype=float), frame)
    assert isinstance(pd.Series(dtype=float), stand_in.Series)
    assert not isinstance(3, frame)


def test_for_everything_else_the_real_one_is_imported(stand_in, monkeypatch):
    real = ModuleType("pandas")
    real.concat = "the real one"
    monkeypatch.setattr(importlib, "import_module", lambda name: real)
    assert stand_in.concat == "the real one"
    assert "pandas" not in sys.modules
