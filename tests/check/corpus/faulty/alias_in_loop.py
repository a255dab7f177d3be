import keras

base = keras.Sequential([keras.layers.Dense(32, activation="relu"), keras.layers.Dense(1)])
histories = {}
for name in ["adam", "sgd", "rmsprop"]:
    candidate = base  # expect: FL001
    candidate.compile(optimizer=name, loss="mse")
    histories[name] = candidate.fit(x, y, epochs=5, verbose=0)
