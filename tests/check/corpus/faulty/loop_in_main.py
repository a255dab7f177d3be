import itertools

from tensorflow import keras


def build_model():
    model = keras.models.Sequential()
    model.add(keras.layers.Flatten(input_shape=(28, 28)))
    model.add(keras.layers.Dense(128, activation="relu"))
    model.add(keras.layers.Dense(10, activation="softmax"))
    return model


def evaluate(model, rate, batch):
    model.compile(
        loss="sparse_categorical_crossentropy",
        optimizer=keras.optimizers.Adam(rate),
        metrics=["accuracy"],
    )
    model.fit(X_train, y_train, batch_size=batch, epochs=2)  # expect: FL003
    return model.evaluate(X_test, y_test)[1]


def main():
    model = build_model()
    best = max(
        (evaluate(model, rate, batch), rate, batch)
        for rate, batch in itertools.product([0.1, 0.01], [32, 64])
    )
    print(best)


if __name__ == "__main__":
    main()
