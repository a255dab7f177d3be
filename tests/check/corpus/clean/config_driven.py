import argparse
import json
from pathlib import Path

import keras
import yaml
from keras import layers, optimizers, regularizers

OPTIMIZERS = {"adam": optimizers.Adam, "sgd": optimizers.SGD}


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configs", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def build(config):
    inputs = keras.Input(tuple(config["shape"]))
    x = inputs
    for width in config["widths"]:
        x = layers.Dense(width, kernel_regularizer=regularizers.L2(config.get("l2", 0.0)))(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
    model = keras.Model(inputs, layers.Dense(config["classes"], activation="softmax")(x))
    optimizer = OPTIMIZERS[config["optimizer"]["name"]](**config["optimizer"].get("arguments", {}))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def run(path, seed):
    config = yaml.safe_load(path.read_text())
    keras.utils.set_random_seed(seed)
    model = build(config)
    out = Path("runs") / path.stem
    out.mkdir(parents=True, exist_ok=True)
    callbacks = [
        keras.callbacks.ModelCheckpoint(out / "best.keras", save_best_only=True),
        keras.callbacks.CSVLogger(out / "log.csv"),
    ]
    history = model.fit(*load(config), validation_split=0.1, epochs=config["epochs"], callbacks=callbacks)
    (out / "history.json").write_text(json.dumps(history.history))
    return min(history.history["val_loss"])


if __name__ == "__main__":
    args = parse()
    keras.utils.set_random_seed(args.seed)
    results = {path.stem: run(path, args.seed) for path in args.configs}
    print(min(results, key=results.get))
