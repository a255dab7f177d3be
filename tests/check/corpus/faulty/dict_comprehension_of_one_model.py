import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
model = keras.Sequential([keras.layers.Dense(1)])
model.compile("sgd", "mse")
models = {name: model for name in ("a", "b", "c")}
for name, m in models.items():
    m.fit(x, y, epochs=3)  # expect: FL003
