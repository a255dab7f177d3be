import keras
from keras import layers
net = keras.Sequential([layers.Dense(1)])
loss = []
for rate in (0.1, 0.01, 0.001):
    net.compile(keras.optimizers.SGD(rate), "mse")
    loss += net.fit(x, y, epochs=10).history["loss"]
