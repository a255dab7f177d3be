import keras
from keras import layers
net = keras.Sequential([layers.Dense(1)])
net.compile("sgd", "mse")
members = [net, net]
for i, member in enumerate(members):
    member.fit(x, y, epochs=5)  # expect: FL003
