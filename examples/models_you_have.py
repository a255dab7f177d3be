"""Models that already exist: trained together, copied, reset; and what they share."""

import fairlane as fl
import keras
import numpy as np
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


x, y = load_digits(return_X_y=True)
x = x / 16

# Several models are trained in place, each as its own `fit` would train it.
models = [build(1e-2), build(1e-3)]
histories = fl.fit(models, x, y, epochs=10, verbose=0)
for model, history in zip(models, histories, strict=True):
    accuracy = history.history["accuracy"][-1]
    print(f"{model.name}: accuracy {accuracy:.3f}, its own: {model.history is history}")

# A copy continues exactly as the model would; a fresh model has new weights.
model = models[0]
other, again = fl.copy(model), fl.fresh(model)
same = np.array_equal(model.predict(x, verbose=0), other.predict(x, verbose=0))
print("the copy predicts the same:", same)
print("the fresh model's accuracy:", round(again.evaluate(x, y, verbose=0)[1], 1))

# An alias is not a copy.
model_copy = model
print("model and other share:     ", fl.shared_state(model, other))
print("model and model_copy share:", fl.shared_state(model, model_copy))
try:
    fl.fit([model, model_copy], x, y, verbose=0)
except fl.SharedStateError as error:
    print("SharedStateError:", str(error).split(":")[0])
