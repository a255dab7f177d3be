import keras
import pytest


@pytest.fixture
def model():
    net = keras.Sequential([keras.layers.Dense(1)])
    net.compile("adam", "mse")
    return net


@pytest.mark.parametrize("batch", [1, 8])
def test_fit(model, batch):
    history = model.fit(X, Y, batch_size=batch)
    assert history.history["loss"]


def test_again(model):
    model.compile("sgd", "mse")
    model.fit(X, Y)
    before = model.get_weights()
    model.fit(X, Y)
    assert before != model.get_weights()


class TestOthers:
    @classmethod
    def setup_class(cls):
        cls.model = keras.Sequential([keras.layers.Dense(1)])

    def test_one(self):
        self.model.compile("adam", "mse")
        self.model.fit(X, Y)

    def test_two(self):
        self.model.compile("adam", "mse")
        self.model.fit(X, Y)
