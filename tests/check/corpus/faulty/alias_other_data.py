import keras
from keras import layers
net = keras.Sequential([layers.Dense(4), layers.Dense(1)])
net.compile("sgd", "mse")
net_copy = net  # expect: FL001
net.fit(x_old, y_old, epochs=2)
for xb, yb in batches(x_new):
    net_copy.train_on_batch(xb, yb)
