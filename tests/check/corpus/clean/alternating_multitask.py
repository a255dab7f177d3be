import keras
from keras import layers

shared = layers.Embedding(1000, 16)
a_in, b_in = keras.Input((10,)), keras.Input((20,))
task_a = keras.Model(a_in, layers.Dense(1)(layers.Flatten()(shared(a_in))))
task_b = keras.Model(b_in, layers.Dense(1)(layers.Flatten()(shared(b_in))))
task_a.compile("adam", "mse")
task_b.compile("adam", "mse")
for epoch in range(10):
    task_a.fit(xa, ya, epochs=1)
    task_b.fit(xb, yb, epochs=1)
