import fairlane
import keras

model = keras.Sequential([keras.layers.Dense(1)])
for rate in (1e-2, 1e-3, 1e-4):
    with fairlane.continuing(model):
        model.compile(keras.optimizers.Adam(rate), "mse")
        model.fit(x, y, epochs=5)
