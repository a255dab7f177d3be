"""One model trained from ten seeds: how much of a result is luck?"""

import fairlane as fl
import keras
from sklearn.datasets import load_digits


def build():
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(32, "relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10, "softmax"),
        ]
    )
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


x, y = load_digits(return_X_y=True)
# [{}] is one variant without hyperparameters; seeds=10 means the seeds 0, 1, ..., 9.
arguments = {"epochs": 15, "validation_split": 0.2, "verbose": 0}
study = fl.compare(build, [{}], x / 16, y, seeds=10, **arguments)

last = study.trials.set_index("seed")["val_accuracy"]
print("per seed:", last.round(3).to_dict())
row = study.summary("val_accuracy").iloc[0]
print(f"mean {row['mean']:.3f}, 95 % interval {row['low']:.3f} to {row['high']:.3f}")

# The same seed gives the same trial again, whatever is trained beside it.
again = fl.compare(build, [{}], x / 16, y, seeds=[7], **arguments)
print(f"seed 7 by itself: {again.trials['val_accuracy'][0]:.3f}")
