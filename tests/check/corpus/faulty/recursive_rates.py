import keras
from data import load, load_test
X, y = load()
Xt, yt = load_test()
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])

def try_rates(rates):
    if not rates:
        return []
    model.compile(keras.optimizers.SGD(rates[0]), "mse")
    model.fit(X, y, verbose=0)  # expect: FL002 likely
    return [(rates[0], model.evaluate(Xt, yt, verbose=0))] + try_rates(rates[1:])

print(try_rates([0.1, 0.01, 0.001]))
