import keras


def study(x, y):
    model = keras.Sequential([keras.layers.Dense(8), keras.layers.Dense(1)])

    def with_rate(rate):
        model.compile(keras.optimizers.SGD(rate), "mse")
        return model.fit(x, y, epochs=4)  # expect: FL003

    return {rate: with_rate(rate) for rate in (0.1, 0.01)}
