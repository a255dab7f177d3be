import keras
from keras import layers

inputs = keras.Input((16,))
trunk = layers.Dense(32, activation="relu", name="trunk")
hidden = trunk(inputs)
first = keras.Model(inputs, layers.Dense(1)(hidden))
first.compile("adam", "mse")
first.fit(x, y)
trunk.trainable = False
second = keras.Model(inputs, layers.Dense(3)(hidden))
second.compile("adam", "mse")
second.fit(x, z)
