import keras
from keras import layers
import numpy as np

net = keras.Sequential([layers.Dense(1)])
net.compile("sgd", "mse")
for part in np.array_split(np.random.permutation(len(x)), 4):
    rest = np.delete(np.arange(len(x)), part)
    net.fit(x[rest], y[rest], validation_data=(x[part], y[part]), epochs=3)  # expect: FL010
