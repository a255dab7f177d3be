import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
from sklearn.model_selection import cross_validate, KFold
def build():
    m = keras.Sequential([keras.layers.Dense(1)]); m.compile("sgd", "mse"); return m
model = build()
cv = KFold(5)
results = {}
for fold, split in enumerate(cv.split(x)):
    train, test = split
    results[fold] = model.fit(x[train], y[train], validation_data=(x[test], y[test]))  # expect: FL010
