import keras
from keras import layers
encoder = keras.Sequential([layers.Conv2D(8, 3), layers.Flatten()])


def head(dropout):
    i = keras.Input((28, 28, 1))
    o = layers.Dense(10)(layers.Dropout(dropout)(encoder(i)))
    return keras.Model(i, o)  # expect: FL008


a, b = head(0.1), head(0.5)
a.compile("adam", "mse")
b.compile("adam", "mse")
a.fit(x, y)
b.fit(x, y)
