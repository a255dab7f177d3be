"""The guard warns programs that use Keras alone, at the line that makes the mistake."""

import warnings

import fairlane as fl
import keras
from sklearn.datasets import load_digits

x, y = load_digits(return_X_y=True)
x = x / 16
model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(32, "relu"),
        keras.layers.Dense(10, "softmax"),
    ]
)


def train(learning_rate):
    model_copy = model  # a second name for one model
    optimizer = keras.optimizers.RMSprop(learning_rate)
    model_copy.compile(optimizer, loss="sparse_categorical_crossentropy")
    return model_copy.fit(x, y, epochs=3, verbose=0)


with fl.guard(), warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", fl.AlreadyTrainedWarning)
    train(1e-3)
    train(1e-4)  # continues from the weights of the first training: the guard warns

for warning in caught:
    print(f"line {warning.lineno}: {warning.message}\n")

# Fine-tuning continues the training on purpose: `continuing` says so.
with fl.guard(), warnings.catch_warnings():
    warnings.simplefilter("error", fl.AlreadyTrainedWarning)
    with fl.continuing(model):
        model.compile("sgd", loss="sparse_categorical_crossentropy")
        model.fit(x, y, verbose=0)
print("training inside of `continuing`: no warning")
