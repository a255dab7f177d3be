import numpy as np
import keras
from data import load
X, y = load()
k = 3
n = len(X) // k
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile(optimizer="rmsprop", loss="mse", metrics=["mae"])
i = 0
all_scores = []
while i < k:
    val_x, val_y = X[i * n:(i + 1) * n], y[i * n:(i + 1) * n]
    part_x = np.concatenate([X[:i * n], X[(i + 1) * n:]], axis=0)
    part_y = np.concatenate([y[:i * n], y[(i + 1) * n:]], axis=0)
    model.fit(part_x, part_y, epochs=1, batch_size=8, verbose=0)  # expect: FL010
    mse, mae = model.evaluate(val_x, val_y, verbose=0)
    all_scores.append(mae)
    i += 1
