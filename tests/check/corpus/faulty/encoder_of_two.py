import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, activation="relu")])
inp = keras.Input((4,))
a = keras.Model(inp, keras.layers.Dense(1)(encoder(inp)))
inp2 = keras.Input((4,))
b = keras.Model(inp2, keras.layers.Dense(1)(keras.layers.Dense(8)(encoder(inp2))))  # expect: FL008 likely
a.compile("adam", "mse")
a.fit(x, y, epochs=5)
b.compile("adam", "mse")
b.fit(x, y, epochs=5)
print(a.evaluate(x, y), b.evaluate(x, y))
