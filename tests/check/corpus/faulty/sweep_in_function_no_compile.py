import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
model = keras.Sequential([keras.layers.Dense(1)])
model.compile("sgd", "mse")
def experiment(n_epochs, batch):
    return model.fit(x, y, epochs=n_epochs, batch_size=batch, verbose=0).history["loss"][-1]  # expect: FL003 likely
results = {}
for n in (5, 10):
    for b in (8, 16):
        results[n, b] = experiment(n, b)
