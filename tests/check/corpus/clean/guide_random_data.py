import keras
from keras import layers
import numpy as np

net = keras.Sequential([layers.Dense(1)])
net.compile(loss="mse", optimizer="sgd")
net.fit(np.random.rand(8, 4), np.random.rand(8, 1))
net.compile(loss="mse", optimizer="sgd", metrics=["mae"])
net.fit(np.random.rand(8, 4), np.random.rand(8, 1))
