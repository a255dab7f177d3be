import keras
import numpy as np

sizes = np.linspace(100, 10_000, 8, dtype=int)
scores = {n: [] for n in sizes}
for n in sizes:
    for seed in range(3):
        keras.utils.set_random_seed(seed)
        chosen = np.random.choice(len(x), n)
        model = keras.Sequential([keras.layers.Dense(16), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        model.fit(x[chosen], y[chosen], epochs=3, verbose=0)
        scores[n].append(model.evaluate(x_test, y_test, verbose=0))
