import keras
import tensorflow as tf

model = keras.Sequential([keras.layers.Dense(512), keras.layers.Dense(1)])
batch_size = 4096
while True:
    try:
        model.compile("adam", "mse")
        model.fit(x, y, batch_size=batch_size)
        break
    except tf.errors.ResourceExhaustedError:
        batch_size //= 2
