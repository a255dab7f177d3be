from concurrent.futures import ProcessPoolExecutor

import keras
from joblib import Parallel, delayed

model = keras.Sequential([keras.layers.Dense(1)])


def train(rate):
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model.fit(x, y).history


with ProcessPoolExecutor() as executor:
    curves = list(executor.map(train, [0.1, 0.01]))
more = Parallel(n_jobs=2)(delayed(train)(rate) for rate in (0.1, 0.01))
