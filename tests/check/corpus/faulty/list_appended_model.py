import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
model = keras.Sequential([keras.layers.Dense(1)])
model.compile("sgd", "mse")
ms = []
for i in range(3):
    ms.append(model)
for m in ms:
    m.fit(x, y, epochs=2)  # expect: FL003
