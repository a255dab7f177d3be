import keras
from keras import layers
net = keras.Sequential([layers.Dense(1)])
net.compile("sgd", "mse")
for left, right in line.split("\t"):
    net.fit(left, right, epochs=2)
