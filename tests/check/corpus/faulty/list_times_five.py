import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
model = keras.Sequential([keras.layers.Dense(1)])
model.compile("sgd", "mse")
ensemble = [model] * 5
for member in ensemble:
    member.fit(x, y, epochs=3)  # expect: FL003
pred = np.mean([m.predict(x) for m in ensemble], axis=0)
