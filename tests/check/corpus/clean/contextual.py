import contextlib
import gc

import keras


@contextlib.contextmanager
def session():
    keras.utils.clear_session()
    try:
        yield
    finally:
        gc.collect()


def trial(width):
    with session():
        inputs = keras.Input((4,))
        model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dense(width)(inputs)))
        model.compile("adam", "mse")
        early = keras.callbacks.EarlyStopping(patience=2)
        return model.fit(x, y, validation_split=0.1, callbacks=[early]).history["val_loss"][-1]


losses = {width: trial(width) for width in range(8, 64, 8)}
best_width = min(losses, key=losses.get)
