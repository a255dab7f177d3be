import keras
from data import load
X, y = load()
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
model.compile("adam", "mse")
h1 = model.fit(X, y, epochs=1, verbose=0)
# same architecture, other optimizer
model_sgd = keras.Sequential(model.layers)  # expect: FL008 likely
model_sgd.compile("sgd", "mse")
h2 = model_sgd.fit(X, y, epochs=1, verbose=0)
