import keras
import numpy as np
from sklearn.model_selection import KFold

model = keras.Sequential([keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1)])
model.compile(optimizer="adam", loss="mse")

scores = []
for train, test in KFold(n_splits=5, shuffle=True, random_state=0).split(X):
    model.fit(X[train], y[train], epochs=20, verbose=0)  # expect: FL010
    scores.append(model.evaluate(X[test], y[test], verbose=0))
print(np.mean(scores))
