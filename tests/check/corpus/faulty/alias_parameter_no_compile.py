import keras
from keras import layers
def trained(template, size):
    m = template  # expect: FL001
    return m.fit(a, b, batch_size=size, epochs=3)


template = keras.Sequential([layers.Dense(1)])
template.compile("adam", "mse")
small = trained(template, 8)
large = trained(template, 128)
