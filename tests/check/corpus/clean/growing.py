import keras
from keras import layers


def grow(previous, width):
    model = keras.Sequential([keras.Input((8,))])
    for layer in previous.layers[:-1] if previous else []:
        layer.trainable = False
        model.add(layer)
    model.add(layers.Dense(width, activation="relu"))
    model.add(layers.Dense(1))
    return model


model = None
for width in (32, 16, 8):
    model = grow(model, width)
    model.compile("adam", "mse")
    model.fit(x, y, epochs=5)
