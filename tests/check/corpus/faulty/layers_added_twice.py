import keras
from keras import layers
def make(layer_list, lr):
    m = keras.Sequential()  # expect: FL008
    for l in layer_list:
        m.add(l)
    m.compile(keras.optimizers.Adam(lr), "mse")
    return m
shared = [layers.Dense(32), layers.Dense(1)]
m1 = make(shared, 0.1)
m2 = make(shared, 0.2)
m1.fit(x, y)
m2.fit(x, y)
