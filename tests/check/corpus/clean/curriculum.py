import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
m = keras.Sequential([keras.layers.Dense(1)])
for difficulty in (0.1, 0.5, 1.0):
    xs, ys = make_task(difficulty)
    m.compile(keras.optimizers.Adam(1e-3 * (1 - difficulty / 2)), "mse")
    m.fit(xs, ys, epochs=3)
    print(difficulty, m.evaluate(x, y))
