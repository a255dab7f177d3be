import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
from joblib import Parallel, delayed
m = keras.Sequential([keras.layers.Dense(1)])
def run(lr):
    m.compile(keras.optimizers.SGD(lr), "mse")
    return m.fit(x, y).history  # expect: FL003
out = Parallel(n_jobs=2, prefer="threads")(delayed(run)(lr) for lr in (0.1, 0.2))
