import keras
import numpy as np

model = keras.Sequential([keras.layers.Dense(1)])
for rate in np.logspace(-4, -1, 4):
    model.compile(optimizer=keras.optimizers.SGD(rate), loss="mse")
    for start in range(0, len(x), 32):
        model.train_on_batch(x[start : start + 32], y[start : start + 32])  # expect: FL003
    print(rate, model.evaluate(x, y, verbose=0))
