import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
# resume: load, go on, save, per run
import os
path = "m.keras"
m = keras.models.load_model(path) if os.path.exists(path) else keras.Sequential([keras.layers.Dense(1)])
for run in range(3):
    m.compile("sgd", "mse")
    m.fit(x, y, initial_epoch=run * 10, epochs=(run + 1) * 10)
    m.save(path)
