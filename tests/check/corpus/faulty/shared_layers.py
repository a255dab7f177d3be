import keras
from keras import layers

hidden = layers.Dense(64, activation="relu")

first = keras.Sequential([keras.Input((20,)), hidden, layers.Dense(1)])
second = keras.Sequential([keras.Input((20,)), hidden, layers.Dropout(0.5), layers.Dense(1)])  # expect: FL008

first.compile("adam", "mse")
first.fit(x, y, epochs=10)
second.compile("adam", "mse")
second.fit(x, y, epochs=10)
