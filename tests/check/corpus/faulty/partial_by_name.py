import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
import functools
model = keras.Sequential([keras.layers.Dense(1)])
def objective(lr, net):
    net.compile(optimizer=keras.optimizers.Adam(lr), loss="mse")
    return net.fit(x, y).history["loss"][-1]  # expect: FL003
f = functools.partial(objective, net=model)
scores = [f(lr) for lr in (1e-3, 1e-2)]
