import keras
import numpy as np


def network():
    made = keras.Sequential([keras.layers.Dense(12), keras.layers.Dense(1)])
    made.compile(optimizer="adam", loss="mae")
    return made


net = network()
size, errors = len(x) // 3, []
for part in range(3):
    low, high = part * size, (part + 1) * size
    inputs = np.concatenate([x[:low], x[high:]], axis=0)
    targets = np.concatenate([y[:low], y[high:]], axis=0)
    net.fit(inputs, targets, epochs=7, verbose=0)  # expect: FL010
    errors.append(net.evaluate(x[low:high], y[low:high], verbose=0))
