import keras

keras.utils.set_random_seed(812)  # expect: FL009 likely

results = {}
for units in (16, 32, 64):
    model = keras.Sequential([keras.layers.Dense(units, activation="relu"), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    results[units] = model.fit(x, y, epochs=10).history
