import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
# class with phases
class T:
    def __init__(self):
        self.model = keras.Sequential([keras.layers.Dense(1)])
    def pretrain(self):
        self.model.compile("adam", "mse")
        self.model.fit(x, y, epochs=3)
    def finetune(self):
        self.model.compile(keras.optimizers.Adam(1e-5), "mse")
        self.model.fit(x, y, epochs=3)
t = T()
t.pretrain()
t.finetune()
