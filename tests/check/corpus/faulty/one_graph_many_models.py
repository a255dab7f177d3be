import keras
from data import load
X, y = load()
inputs = keras.Input((4,))
outputs = keras.layers.Dense(1)(keras.layers.Dense(8, "relu")(inputs))
results = {}
for loss in ("mse", "mae", "huber"):
    model = keras.Model(inputs, outputs)  # expect: FL008
    model.compile(optimizer="adam", loss=loss)
    model.fit(X, y, epochs=1, verbose=0)
    results[loss] = model.predict(X, verbose=0)
