"""Callbacks for each trial: early stopping, a log, and one that knows its trial."""

import fairlane as fl
import keras
import pandas as pd
from sklearn.datasets import load_digits


def build(learning_rate):
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(32, "relu"),
            keras.layers.Dense(10, "softmax"),
        ]
    )
    optimizer = keras.optimizers.Adam(learning_rate)
    model.compile(
        optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


class ReportEnd(keras.callbacks.Callback):
    """Prints after how many epochs its trial ended."""

    def __init__(self, trial):
        super().__init__()
        self.trial = trial

    def on_epoch_end(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_end(self, logs=None):
        print(f"{self.trial} stopped after {self.epoch + 1} epochs")


def callbacks(trial):
    """New callbacks for a trial; the argument can be left out if it is not needed."""
    return [
        keras.callbacks.EarlyStopping(
            "val_loss", patience=3, restore_best_weights=True
        ),
        keras.callbacks.CSVLogger(f"log-{trial.number}.csv"),
        ReportEnd(trial),
    ]


x, y = load_digits(return_X_y=True)
study = fl.compare(
    build,
    {"learning_rate": [1e-1, 1e-2]},
    x / 16,
    y,
    seeds=2,
    epochs=40,
    validation_split=0.2,
    callbacks=callbacks,
    verbose=0,
)

columns = ["trial", "learning_rate", "seed", "epochs", "val_loss"]
print(study.trials[columns].round(3).to_string(index=False))
print("the log of trial 0 has", len(pd.read_csv("log-0.csv")), "rows")
