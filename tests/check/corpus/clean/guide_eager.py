import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
# keras guide: weights transfer, compile shown with run_eagerly
i = keras.Input((4,))
m = keras.Model(i, keras.layers.Dense(1)(i))
m.compile(optimizer="rmsprop", loss="mse")
m.fit(np.ones((8, 4)), np.ones((8, 1)))
m.compile(optimizer="rmsprop", loss="mse", run_eagerly=True)
m.fit(np.ones((8, 4)), np.ones((8, 1)))
