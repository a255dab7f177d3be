import keras
class Runner:
    model = keras.Sequential([keras.layers.Dense(1)])
    @classmethod
    def go(cls, opt):
        cls.model.compile(opt, "mse")
        return cls.model.fit(X, Y)  # expect: FL002
a = Runner.go("adam")
b = Runner.go("sgd")
