import keras
from keras import layers
hidden, data = [], x
for units in (64, 32, 16):
    code = layers.Dense(units, activation="relu")
    part = keras.Sequential([code, layers.Dense(data.shape[1])])
    part.compile("adam", "mse")
    part.fit(data, data, epochs=5)
    hidden.append(code)
    data = code(data)
deep = keras.Sequential([*hidden, layers.Dense(1)])
deep.compile("adam", "mse")
deep.fit(x, y, epochs=5)
