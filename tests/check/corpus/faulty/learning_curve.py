import keras
import matplotlib
from data import load, load_test

X, y = load()
X_val, y_val = load_test()
model = keras.models.Sequential([keras.layers.Dense(16, activation="tanh"), keras.layers.Dense(1)])
model.compile("adam", "mse")
train_sizes = [10, 20, 30]
val_scores = []
for n in train_sizes:
    model.fit(X[:n], y[:n], epochs=1, verbose=0)  # expect: FL003 likely
    val_scores.append(model.evaluate(X_val, y_val, verbose=0))
for n, s in zip(train_sizes, val_scores):
    print(n, s)
