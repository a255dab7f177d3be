import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
from multiprocessing.pool import ThreadPool
model = keras.Sequential([keras.layers.Dense(1)])
def job(lr):
    model.compile(keras.optimizers.SGD(lr), "mse")
    h = model.fit(x, y)  # expect: FL003
    return h.history["loss"][-1]
pool = ThreadPool(4)
print(pool.map(job, [0.1, 0.2]))
