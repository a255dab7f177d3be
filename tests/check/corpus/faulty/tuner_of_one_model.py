from tensorflow import keras
import kerastuner as kt
model = keras.Sequential([keras.layers.Dense(1)])
def build(hp):
    model.compile(optimizer=keras.optimizers.Adam(hp.Choice("lr", [1e-2, 1e-3])), loss="mse")
    return model
tuner = kt.RandomSearch(build, objective="val_loss", max_trials=5)  # expect: FL003
tuner.search(x, y, epochs=5, validation_split=0.2)
