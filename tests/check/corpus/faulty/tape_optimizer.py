import keras
from keras import layers
import tensorflow as tf

shared = keras.optimizers.SGD(0.1)
first = keras.Sequential([layers.Dense(1)])
second = keras.Sequential([layers.Dense(2)])


def step(net, data):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(net(data) ** 2)
    grads = tape.gradient(loss, net.trainable_weights)
    shared.apply_gradients(zip(grads, net.trainable_weights))  # expect: FL004


for batch in dataset:
    step(first, batch)
    step(second, batch)
