from keras import Sequential, layers, metrics

METRICS = [metrics.Precision(), metrics.Recall()]
for rate in (0.1, 0.5):
    model = Sequential([layers.Dense(16), layers.Dropout(rate), layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=METRICS)  # expect: FL006
    model.fit(x, y, epochs=3)
