import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
from sklearn.model_selection import KFold
def make(): 
    m = keras.Sequential([keras.layers.Dense(8), keras.layers.Dense(1)])
    m.compile("adam", "mse")
    return m
net = make()
kf = KFold(n_splits=5, shuffle=True)
fold_no = 1
for train_idx, val_idx in kf.split(x, y):
    cnn = net  # expect: FL001
    history = cnn.fit(x[train_idx], y[train_idx], epochs=5, batch_size=4)
    s = cnn.evaluate(x[val_idx], y[val_idx])
    fold_no += 1
