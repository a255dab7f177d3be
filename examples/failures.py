"""Trials that fail or diverge are recorded with the reason; the others continue."""

import fairlane as fl
import keras
from sklearn.datasets import load_digits


def build(learning_rate, units):
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(units, "relu"),
            keras.layers.Dense(10, "softmax"),
        ]
    )
    optimizer = keras.optimizers.SGD(learning_rate)
    model.compile(optimizer, loss="sparse_categorical_crossentropy")
    return model


x, y = load_digits(return_X_y=True)
study = fl.compare(
    build,
    [
        {"learning_rate": 0.1, "units": 32},
        {"learning_rate": 1e20, "units": 32},  # too large: the loss becomes infinite
        {"learning_rate": 0.1, "units": -1},  # no layer has -1 units
    ],
    x / 16,
    y,
    epochs=5,
    verbose=0,
)

for row in study.trials.itertuples():
    print(f"trial {row.trial}: {row.state} after {row.epochs} epochs")
    print(f"    {row.error}" if row.error else "    no error")

# Failed and diverged trials are not compared.
print("the best:", study.best("loss"))

# With on_error="raise", the first failure is an error.
try:
    bad = {"learning_rate": [0.1], "units": [-1]}
    fl.compare(build, bad, x, y, on_error="raise", verbose=0)
except fl.TrialError as error:
    print("TrialError:", str(error).splitlines()[0])
    print("its study:", error.study.trials["state"].tolist())
