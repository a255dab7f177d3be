import keras

model = keras.Sequential([keras.layers.Dense(1)])
for rate in (0.1, 0.01):
    model.compile(keras.optimizers.SGD(rate), "mse")
    model.fit(x, y)  # noqa: FL003
for rate in (0.1, 0.01):
    model.compile(keras.optimizers.SGD(rate), "mse")
    model.fit(x, y)  # noqa
