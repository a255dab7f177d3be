import keras
from keras import layers
net = keras.Sequential([layers.Dense(1)])
net.compile("sgd", "mse")
finals = []
for seed in range(5):
    keras.utils.set_random_seed(seed)
    finals.append(net.fit(x, y, epochs=10).history["loss"][-1])  # expect: FL003 likely
