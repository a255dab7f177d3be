import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
from sklearn.model_selection import StratifiedKFold
m = keras.Sequential([keras.layers.Dense(1)])
m.compile("sgd", "mse")
m.save("model.h5")
for i, (a, b) in enumerate(StratifiedKFold(3).split(x, y)):
    m = keras.models.load_model("model.h5")
    m.fit(x[a], y[a], epochs=3)  # expect: FL010
    print(m.evaluate(x[b], y[b]))
    m.save("model.h5")
