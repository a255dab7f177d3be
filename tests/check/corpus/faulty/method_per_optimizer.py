import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
class Experiment:
    def __init__(self):
        self.model = keras.Sequential([keras.layers.Dense(1)])
        self.histories = {}
    def compile_and_fit(self, name, optimizer):
        self.model.compile(optimizer=optimizer, loss="mse")
        self.histories[name] = self.model.fit(x, y, epochs=3)  # expect: FL002 likely
e = Experiment()
e.compile_and_fit("adam", "adam")
e.compile_and_fit("sgd", "sgd")
