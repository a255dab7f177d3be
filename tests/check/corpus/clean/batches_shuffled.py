import keras
from keras import layers
import numpy as np

net = keras.Sequential([layers.Dense(1)])
net.compile("sgd", "mse")
for epoch in range(10):
    order = np.random.permutation(len(x))
    for start in range(0, len(x), 32):
        part = order[start : start + 32]
        net.train_on_batch(x[part], y[part])
    print(epoch, net.evaluate(x_test, y_test))
