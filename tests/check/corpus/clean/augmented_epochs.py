import numpy as np
import keras
from data import load, load_test
X, y = load()
net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
net.compile("adam", "mse")
val = []
for epoch in range(3):
    noisy = X + np.random.normal(scale=0.1, size=X.shape)
    net.fit(noisy, y, epochs=1, verbose=0)
    val.append(net.evaluate(*load_test(), verbose=0))
