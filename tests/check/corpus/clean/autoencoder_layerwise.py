import keras
from keras import layers

x_current = x
encoders = []
for units in (64, 32, 16):
    inputs = keras.Input((x_current.shape[1],))
    encoded = layers.Dense(units, activation="relu")(inputs)
    decoded = layers.Dense(x_current.shape[1])(encoded)
    auto = keras.Model(inputs, decoded)
    auto.compile("adam", "mse")
    auto.fit(x_current, x_current, epochs=5)
    encoder = keras.Model(inputs, encoded)
    encoders.append(encoder)
    x_current = encoder.predict(x_current)
stack = keras.Sequential(encoders + [layers.Dense(10, activation="softmax")])
stack.compile("adam", "sparse_categorical_crossentropy")
stack.fit(x, y, epochs=5)
