import keras
from keras import layers
net = keras.Sequential([layers.Dense(8), layers.Dense(1)])
net.compile(keras.optimizers.SGD(1e-4), "mse")
warmup = net.fit(x, y, epochs=2)
net.compile(keras.optimizers.Adam(1e-2), "mse")
main = net.fit(x, y, epochs=20)
