import keras
from keras import layers
trunk = keras.Sequential([keras.Input((4,)), layers.Dense(8)])
start = trunk.get_weights()
i = keras.Input((4,))
net = keras.Model(i, layers.Dense(1)(trunk(i)))
curves = {}
for rate in (0.001, 0.01):
    trunk.set_weights(start)
    net.compile(keras.optimizers.Adam(rate), loss="mse")
    curves[rate] = net.fit(x, y, epochs=2)
