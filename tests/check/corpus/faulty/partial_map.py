import keras
from keras import layers
import functools

net = keras.Sequential([layers.Dense(1)])


def run(model, rate, epochs=1):
    model.compile(keras.optimizers.Adam(rate), loss="mse")
    return model.fit(x, y, epochs=epochs)  # expect: FL003


curves = list(map(functools.partial(run, net, epochs=5), [0.001, 0.01]))
