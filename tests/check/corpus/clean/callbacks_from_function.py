import os

import tensorflow as tf
from tensorflow.keras.callbacks import CSVLogger, EarlyStopping, LearningRateScheduler, ModelCheckpoint

schedule = LearningRateScheduler(lambda epoch, lr: lr * 0.9)


def callbacks_for(name):
    return [
        EarlyStopping(patience=3),
        ModelCheckpoint(os.path.join("checkpoints", f"{name}.keras"), save_best_only=True),
        CSVLogger(f"{name}.csv"),
        schedule,
    ]


for name, units in {"small": 8, "large": 128}.items():
    model = tf.keras.Sequential([tf.keras.layers.Dense(units), tf.keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(x, y, validation_split=0.1, epochs=99, callbacks=callbacks_for(name))
