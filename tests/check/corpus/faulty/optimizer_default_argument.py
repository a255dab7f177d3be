import keras


def make(units, optimizer=keras.optimizers.Adam(1e-3)):
    model = keras.Sequential([keras.layers.Dense(units), keras.layers.Dense(1)])
    model.compile(optimizer=optimizer, loss="mse")  # expect: FL004
    return model


for model in [make(8), make(16)]:
    model.fit(x, y, epochs=3)
