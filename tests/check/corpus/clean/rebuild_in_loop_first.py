import keras

model = None
for round_number in range(5):
    if model is None or round_number % 2 == 0:
        model = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(1)])
        model.compile("adam", "mse")
    model.fit(x, y, epochs=2)
