import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
# weights reset by set_weights in a loop over folds
from sklearn.model_selection import KFold
m = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
m.compile("sgd", "mse")
initial = m.get_weights()
for a, b in KFold(5).split(x):
    m.set_weights(initial)
    m.fit(x[a], y[a], epochs=3)
    print(m.evaluate(x[b], y[b]))
