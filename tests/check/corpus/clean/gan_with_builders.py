import keras
import numpy as np


def maker():
    return keras.Sequential([keras.layers.Dense(3)])


def judge():
    net = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])
    net.compile(optimizer=slow, loss="binary_crossentropy")
    return net


slow = keras.optimizers.SGD(0.01)
judging, making = judge(), maker()
noise = keras.Input((5,))
judging.trainable = False
both = keras.Model(noise, judging(making(noise)))
both.compile(optimizer=keras.optimizers.SGD(0.01), loss="binary_crossentropy")
for turn in range(100):
    chosen = np.random.randint(0, 60, 16)
    judging.train_on_batch(x[chosen], np.ones((16, 1)))
    both.train_on_batch(np.random.normal(size=(16, 5)), np.ones((16, 1)))
