import keras
from keras import layers
saver = keras.callbacks.ModelCheckpoint(filepath="best.keras", save_best_only=True)
net = keras.Sequential([layers.Dense(1)])
net.compile("sgd", "mse")
net.fit(x, y, epochs=5, callbacks=[saver])
best = keras.models.load_model("best.keras")
best.fit(x, y, epochs=5, callbacks=[saver])
