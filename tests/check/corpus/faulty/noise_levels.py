import numpy as np
import keras
from data import load, load_test
X, y = load()
Xt, yt = load_test()
rng = np.random.default_rng(0)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("adam", "mse")
results = {}
for noise in [0.0, 0.1, 0.5]:
    noisy = X + noise * rng.normal(size=X.shape)
    model.fit(noisy, y, epochs=1, verbose=0)  # expect: FL003 likely
    results[noise] = model.evaluate(Xt, yt, verbose=0)
print(results)
