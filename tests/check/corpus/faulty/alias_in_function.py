import keras
import pandas as pd
from keras import layers

(x_train, y_train), _ = keras.datasets.mnist.load_data()
x_train = x_train.reshape(-1, 784) / 255.0

model = keras.Sequential(
    [
        keras.Input((784,)),
        layers.Dense(256, activation="relu"),
        layers.Dropout(0.4),
        layers.Dense(10, activation="softmax"),
    ]
)


def train(learning_rate):
    model_copy = model  # expect: FL001
    model_copy.compile(
        optimizer=keras.optimizers.RMSprop(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    history = model_copy.fit(x_train, y_train, epochs=30, batch_size=128, validation_split=0.2)
    frame = pd.DataFrame(history.history)
    frame["learning_rate"] = learning_rate
    return frame


results = pd.concat([train(1e-3), train(1e-4)])
results.to_csv("results.csv")
