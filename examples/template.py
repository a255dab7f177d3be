"""A compiled model as a template, never trained; hyperparameters are paths into it."""

import fairlane as fl
import keras
from sklearn.datasets import load_digits

template = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(64, "relu", name="hidden"),
        keras.layers.Dropout(0.3, name="drop"),
        keras.layers.Dense(10, "softmax"),
    ]
)
template.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])

x, y = load_digits(return_X_y=True)
study = fl.compare(
    template,
    {
        "optimizer.learning_rate": [1e-2, 1e-3],
        "drop.rate": [0.1, 0.5],
        "hidden.units": [16, 64],
    },
    x / 16,
    y,
    seeds=3,
    epochs=10,
    validation_split=0.2,
    verbose=0,
)

names = ["optimizer.learning_rate", "drop.rate", "hidden.units"]
print(study.trials.groupby(names)["val_accuracy"].mean().round(3).unstack())

best = study.model(study.best("val_accuracy"))
print("the best trial's model:", best.get_layer("hidden").units, "units")
print(
    "the template's own:    ",
    template.get_layer("hidden").units,
    "units, never trained",
)
