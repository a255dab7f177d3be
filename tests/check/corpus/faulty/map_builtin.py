import keras
from functools import partial
model = keras.Sequential([keras.layers.Dense(1)])
def train(opt):
    model.compile(opt, "mse")
    return model.fit(X, Y)  # expect: FL003
results = list(map(train, ["adam", "sgd"]))
