import keras
from keras import layers
import concurrent.futures

net = keras.Sequential([layers.Dense(1)])


def run(rate):
    net.compile(keras.optimizers.Adam(rate), loss="mse")
    return net.fit(x, y, epochs=2)  # expect: FL003


pool = concurrent.futures.ThreadPoolExecutor(2)
futures = [pool.submit(run, rate) for rate in (0.001, 0.01)]
