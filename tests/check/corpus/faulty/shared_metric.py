import keras

auc = keras.metrics.AUC(name="auc")


def compiled(units):
    model = keras.Sequential([keras.layers.Dense(units), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(
        optimizer="adam",
        loss="binary_crossentropy",
        metrics=["accuracy", auc],  # expect: FL006
    )
    return model


small, large = compiled(4), compiled(64)
small.fit(x, y, epochs=5)
large.fit(x, y, epochs=5)
