import keras
from keras import layers
import pandas as pd

net = keras.Sequential([layers.Dense(1)])
for i, name in enumerate(names):
    table = pd.read_csv(name)
    net.compile(keras.optimizers.SGD(0.1 / (i + 1)), "mse")
    net.fit(table[columns], table["target"], epochs=1)
