import keras
from keras import layers
net = keras.Sequential([layers.Dense(1)])
nets = {"plain": net, "augmented": net}
for name, one in nets.items():
    one.compile("sgd", "mse")
    one.fit(x, y, epochs=5)  # expect: FL003
