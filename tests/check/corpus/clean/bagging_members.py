import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
models = [keras.Sequential([keras.layers.Dense(1)]) for _ in range(5)]
for m in models:
    m.compile("adam", "mse")
for epoch in range(10):
    for m in models:
        idx = np.random.choice(60, 60)
        m.fit(x[idx], y[idx], epochs=1, verbose=0)
avg = np.mean([m.predict(x) for m in models], axis=0)
