"""A study in a store: a second call trains only what is not trained yet."""

import fairlane as fl
import keras
from sklearn.datasets import load_digits


def build(learning_rate):
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(32, "relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10, "softmax"),
        ]
    )
    optimizer = keras.optimizers.Adam(learning_rate)
    model.compile(
        optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


x, y = load_digits(return_X_y=True)


def run(seeds, epochs):
    return fl.compare(
        build,
        {"learning_rate": [1e-2, 1e-3]},
        x / 16,
        y,
        seeds=seeds,
        epochs=epochs,
        store="runs.db",
        name="learning rates",
        verbose=0,
    )


def in_words(study):
    trials = study.trials
    return f"{len(trials)} trials, of {sorted(set(trials['epochs']))} epochs"


print("first call:    ", in_words(run(seeds=2, epochs=5)))
print("the same again:", in_words(run(seeds=2, epochs=5)), "(nothing was trained)")
print("more seeds:    ", in_words(run(seeds=3, epochs=5)))
print("more epochs:   ", in_words(run(seeds=3, epochs=8)), "(continued from epoch 5)")

# Elsewhere, without this program:
study = fl.open("runs.db", "learning rates")
best = study.best("accuracy")
model = study.model(best)
print("read back:     ", in_words(study))
print("the best:      ", best)
print("its model:     ", model.count_params(), "parameters")
print(
    fl.studies("runs.db")[["study", "trials", "done", "failed"]].to_string(index=False)
)
