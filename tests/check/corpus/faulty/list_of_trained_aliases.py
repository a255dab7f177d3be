import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
model = keras.Sequential([keras.layers.Dense(1)])
models = []
for i in range(3):
    model.compile("sgd", "mse")
    model.fit(x, y)  # expect: FL003
    models.append(model)
