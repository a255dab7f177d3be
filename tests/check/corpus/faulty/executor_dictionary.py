import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
from concurrent.futures import ThreadPoolExecutor, as_completed
model = keras.Sequential([keras.layers.Dense(1)])
model.compile("sgd", "mse")
def job(lr, model=model):
    model.compile(keras.optimizers.SGD(lr), "mse")
    return model.fit(x, y)  # expect: FL003
with ThreadPoolExecutor(max_workers=2) as ex:
    fs = {ex.submit(job, lr): lr for lr in (0.1, 0.2)}
    for f in as_completed(fs):
        print(fs[f], f.result())
