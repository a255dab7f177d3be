"""Choose a variant by validation data, and report its result on test data."""

import fairlane as fl
import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


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


x, y = load_digits(return_X_y=True)
x, x_test, y, y_test = train_test_split(
    x / 16, y, test_size=0.2, random_state=0, stratify=y
)
x, x_val, y, y_val = train_test_split(x, y, test_size=0.25, random_state=0, stratify=y)

study = fl.compare(
    build,
    {"learning_rate": [1e-2, 1e-3]},
    x,
    y,
    seeds=6,
    epochs=10,
    validation_data=(x_val, y_val),
    test_data=(
        x_test,
        y_test,
    ),  # seen by no trial; evaluated once, when all are trained
    verbose=0,
)

# Ranked by the validation accuracy (`selected`), shown on the test data.
# The baseline was chosen before any result was seen.
table = study.summary("test_accuracy", baseline={"learning_rate": 1e-3})
columns = ["learning_rate", "selected_by", "selected", "mean", "low", "high", "p_value"]
print(table[columns].to_string(index=False, float_format="{:.3f}".format))

chosen = table.iloc[0]
print(f"\nchosen by {chosen['selected_by']}: learning rate {chosen['learning_rate']}")
mean, low, high = chosen[["mean", "low", "high"]]
print(f"its test accuracy: {mean:.3f} ({low:.3f} to {high:.3f})")
