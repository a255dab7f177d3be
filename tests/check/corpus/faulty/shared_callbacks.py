import keras
from keras.callbacks import EarlyStopping, ModelCheckpoint

callbacks = [
    EarlyStopping(patience=5, restore_best_weights=True),
    ModelCheckpoint("best.keras", save_best_only=True),
]


def build(units):
    model = keras.Sequential([keras.layers.Dense(units, activation="relu"), keras.layers.Dense(1)])
    model.compile(optimizer="adam", loss="mse")
    return model


for units in (8, 16, 32):
    model = build(units)
    model.fit(x, y, validation_split=0.2, epochs=100, callbacks=callbacks)  # expect: FL005
