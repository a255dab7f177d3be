import keras
from keras import layers
net = keras.Sequential([layers.Dense(1)])
net.compile("sgd", "mse")
members = [net for _ in range(3)]
for member in members:
    member.fit(x, y, epochs=5)  # expect: FL003
