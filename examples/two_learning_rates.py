"""Two learning rates compared, each trained from six fresh starts, side by side."""

import fairlane as fl
import keras
from sklearn.datasets import load_digits


def build(learning_rate):
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, "relu"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(10, "softmax"),
        ]
    )
    optimizer = keras.optimizers.RMSprop(learning_rate)
    model.compile(
        optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


x, y = load_digits(return_X_y=True)
study = fl.compare(
    build,
    {"learning_rate": [1e-3, 1e-4]},
    x / 16,
    y,
    seeds=6,
    epochs=30,
    validation_split=0.2,
    name="two learning rates",
    verbose=0,
)

table = study.summary("val_accuracy", detail=True)
each = ["learning_rate", "seeds", "mean", "low", "high"]
paired = ["difference", "difference_low", "difference_high", "probability", "p_value"]
for columns in (each, ["learning_rate", *paired]):
    print(table[columns].to_string(index=False, float_format="{:.4g}".format), "\n")

study.plot().savefig("two_learning_rates.png", dpi=110)
