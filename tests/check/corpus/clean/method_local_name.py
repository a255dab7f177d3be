import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
# model is an alias of another attribute; only one is trained
class A:
    def __init__(self):
        self.net = keras.Sequential([keras.layers.Dense(1)])
        self.net.compile("sgd", "mse")
    def go(self):
        model = self.net
        for epoch in range(3):
            model.fit(x, y)
        return model
best = A().go()
final = best
final.evaluate(x, y)
