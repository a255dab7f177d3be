import keras
from keras import layers
net = keras.Sequential([layers.Dense(8), layers.Dense(1)])
net.compile("adam", "mse")
net.fit(x, y, epochs=50)
# continue with a lower rate
net.compile(keras.optimizers.SGD(1e-4), "mse")
net.fit(x, y, epochs=10)
