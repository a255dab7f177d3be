import keras

LABELS = ["toxic", "insult", "threat"]
models, histories = {}, {}
for label in LABELS:
    models[label] = keras.Sequential([keras.layers.Dense(8), keras.layers.Dense(1, activation="sigmoid")])
    models[label].compile("adam", "binary_crossentropy")
for label in LABELS:
    histories[label] = models[label].fit(x, y[label], epochs=2)
