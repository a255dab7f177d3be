import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
# out-of-core chunks with hold-out at the end
m = keras.Sequential([keras.layers.Dense(1)])
m.compile("sgd", "mse")
for start in range(0, 60, 10):
    chunk = slice(start, start + 10)
    m.fit(x[chunk], y[chunk], epochs=1)
    print(m.evaluate(x[50:], y[50:]))
