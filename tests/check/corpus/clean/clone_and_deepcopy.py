import copy

import keras
from keras.models import clone_model

base = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
base.compile("adam", "mse")
base.fit(x, y)
for rate in [0.1, 0.01]:
    member = clone_model(base)
    member.compile(keras.optimizers.SGD(rate), "mse")
    member.fit(x, y)
twin = copy.deepcopy(base)
twin.compile("sgd", "mse")
twin.fit(x, y)
