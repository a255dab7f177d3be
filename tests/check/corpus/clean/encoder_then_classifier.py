import keras
from keras import layers
encoder = keras.Sequential([layers.Dense(8)])
auto = keras.Sequential([encoder, layers.Dense(4)])
auto.compile("adam", "mse")
auto.fit(x, x, epochs=3)
classifier = keras.Sequential([encoder, layers.Dense(1, activation="sigmoid")])
classifier.compile("adam", "binary_crossentropy")
classifier.fit(x, y, epochs=3)
