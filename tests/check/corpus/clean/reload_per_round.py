import keras

model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.save_weights("start.weights.h5")
for rate in (0.1, 0.01):
    model.load_weights("start.weights.h5")
    model.compile(keras.optimizers.SGD(rate), "mse")
    model.fit(x, y)
