import keras
from data import load, load_test
X, y = load()
Xt, yt = load_test()
class ModelZoo:
    registry = {}
    @classmethod
    def register(cls, name, model):
        cls.registry[name] = model
    @classmethod
    def get(cls, name):
        return cls.registry[name]
m = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
ModelZoo.register("small", m)
ModelZoo.register("large", m)
for name in ("small", "large"):
    ModelZoo.get(name).compile("adam", "mse")
    ModelZoo.get(name).fit(X, y, verbose=0)  # expect: FL003
    print(name, ModelZoo.get(name).evaluate(Xt, yt, verbose=0))
