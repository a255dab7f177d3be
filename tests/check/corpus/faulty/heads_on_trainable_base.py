import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
base = keras.applications.VGG16(include_top=False, weights="imagenet", pooling="avg")
def make(units):
    out = keras.layers.Dense(units, activation="relu")(base.output)
    out = keras.layers.Dense(1)(out)
    m = keras.Model(base.input, out)  # expect: FL008
    m.compile("adam", "mse")
    return m
for u in [16, 32, 64]:
    m = make(u)
    m.fit(x, y, epochs=2)
    print(u, m.evaluate(x, y))
