import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
from sklearn.model_selection import ParameterGrid
m = keras.Sequential([keras.layers.Dense(1)])
for p in ParameterGrid({"lr": [0.1, 0.01], "bs": [8, 16]}):
    m.compile(keras.optimizers.SGD(p["lr"]), "mse")
    h = m.fit(x, y, batch_size=p["bs"], epochs=2)  # expect: FL003
    print(p, h.history["loss"][-1])
