import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
import tensorflow as tf
optimizer = tf.keras.optimizers.Adam()
def train(model, data):
    for xb, yb in data:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(xb) - yb) ** 2)
        g = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(g, model.trainable_variables))  # expect: FL004
m1 = tf.keras.Sequential([tf.keras.layers.Dense(1)])
m2 = tf.keras.Sequential([tf.keras.layers.Dense(4), tf.keras.layers.Dense(1)])
train(m1, d)
train(m2, d)
