import argparse

import keras

parser = argparse.ArgumentParser()
parser.add_argument("--mode", choices=["adam", "sgd"])
args = parser.parse_args()
model = keras.Sequential([keras.layers.Dense(1)])
if args.mode == "adam":
    model.compile("adam", "mse")
    history = model.fit(x, y)
elif args.mode == "sgd":
    model.compile("sgd", "mse")
    history = model.fit(x, y)
else:
    raise SystemExit("which?")
try:
    best = keras.models.load_model("best.keras")
except OSError:
    best = model
best.evaluate(x, y)
