import gc
import keras
from data import load
X, y = load()
model = None
for width in (4, 8):
    if model is not None:
        del model
        keras.backend.clear_session()
        gc.collect()
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(width), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(X, y, verbose=0)
