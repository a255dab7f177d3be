import keras
from data import load, load_test
X, y = load()
Xt, yt = load_test()
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
names = ["adagrad", "adam", "sgd"]
candidates = dict(zip(names, [model] * 3))
for name in names:
    candidates[name].compile(name, "mse")
    candidates[name].fit(X, y, verbose=0)  # expect: FL003
print({name: candidates[name].evaluate(Xt, yt, verbose=0) for name in names})
