import keras
from keras import layers
import numpy as np

net = keras.Sequential([layers.Dense(1)])
net.compile("sgd", "mse")
parts = np.array_split(x, 4)
for i in range(4):
    train = np.vstack([p for j, p in enumerate(parts) if j != i])
    net.fit(train, train, epochs=3)  # expect: FL010
    print(net.evaluate(parts[i], parts[i]))
