import keras

model_a = keras.Sequential([keras.layers.Dense(1)])
model_b = keras.Sequential([keras.layers.Dense(8), keras.layers.Dense(1)])


def train(model, lr):
    model.compile(keras.optimizers.Adam(lr), "mse")
    return model.fit(x, y, epochs=3)


for model in (model_a, model_b):
    train(model, 1e-3)
