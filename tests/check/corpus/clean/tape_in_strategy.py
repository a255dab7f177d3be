import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
import tensorflow as tf
strategy = tf.distribute.MirroredStrategy()
with strategy.scope():
    m = tf.keras.Sequential([tf.keras.layers.Dense(1)])
    opt = tf.keras.optimizers.Adam()
    ckpt = tf.train.Checkpoint(model=m, optimizer=opt)
for epoch in range(3):
    for xb, yb in ds:
        with tf.GradientTape() as t:
            loss = tf.reduce_mean((m(xb) - yb) ** 2)
        opt.apply_gradients(zip(t.gradient(loss, m.trainable_variables), m.trainable_variables))
