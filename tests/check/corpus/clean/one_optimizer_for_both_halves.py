import keras
from keras import layers
import tensorflow as tf

a, b = keras.Sequential([layers.Dense(4)]), keras.Sequential([layers.Dense(1)])
opt = keras.optimizers.Adam()
for xb in dataset:
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(b(a(xb)) ** 2)
    both = a.trainable_variables + b.trainable_variables
    opt.apply_gradients(zip(tape.gradient(loss, both), both))
