import keras
from keras import layers

encoder = layers.LSTM(32)


def head(dropout):
    inputs = keras.Input((None, 8))
    h = encoder(inputs)
    h = layers.Dropout(dropout)(h)
    return keras.Model(inputs, layers.Dense(1)(h))  # expect: FL008


low, high = head(0.1), head(0.5)
low.compile("adam", "mse")
low.fit(x, y, epochs=4)
high.compile("adam", "mse")
high.fit(x, y, epochs=4)
