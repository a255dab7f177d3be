import keras
from keras import layers
net = keras.Sequential([layers.Dense(1)])
net.compile("sgd", "mse")
best = {}
for bs in [8, 16, 32]:
    run = net.fit(x, y, epochs=10, batch_size=bs)  # expect: FL003 likely
    best[bs] = min(run.history["loss"])
