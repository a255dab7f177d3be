import keras
import pandas as pd
from keras import layers


def build(learning_rate):
    model = keras.Sequential([layers.Dense(256, activation="relu"), layers.Dense(10, activation="softmax")])
    model.compile(
        optimizer=keras.optimizers.RMSprop(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy", keras.metrics.TopKCategoricalAccuracy(k=3)],
    )
    return model


def train(learning_rate):
    keras.utils.set_random_seed(0)
    model = build(learning_rate)
    stop = keras.callbacks.EarlyStopping(patience=3)
    return model.fit(x_train, y_train, epochs=30, validation_split=0.2, callbacks=[stop]).history


frames = {rate: pd.DataFrame(train(rate)) for rate in (1e-3, 1e-4)}
print(pd.concat(frames))
