import keras
from keras import layers
net = keras.Sequential([layers.Dense(4), layers.Dense(1)])
net.compile(optimizer="sgd", loss="mae")
losses = {}
for size in (16, 32, 64):
    candidate = net  # expect: FL001
    h = candidate.fit(data, target, batch_size=size, epochs=5, verbose=0)
    losses[size] = h.history["loss"][-1]
