import keras
from keras import layers, optimizers


class Tuner:
    """Never used in this file, and wrong wherever it is."""

    def __init__(self, input_dim):
        inputs = keras.Input((input_dim,))
        x = layers.Dense(32, activation="relu")(inputs)
        self.model = keras.Model(inputs, layers.Dense(1)(x))

    def tune(self, x, y, rates):
        scores = {}
        for rate in rates:
            self.model.compile(optimizer=optimizers.Adam(rate), loss="mse")
            self.model.fit(x, y, epochs=5, verbose=0)  # expect: FL003
            scores[rate] = self.model.evaluate(x, y, verbose=0)
        return scores
