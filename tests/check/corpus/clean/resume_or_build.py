import os
import sys

import keras


def get_model():
    if os.path.exists("model.keras"):
        return keras.models.load_model("model.keras")
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def main(stages=("a", "b")):
    for stage in stages:
        model = get_model()
        try:
            model.fit(*data(stage), epochs=3)
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            break
        finally:
            model.save("model.keras")


main()
