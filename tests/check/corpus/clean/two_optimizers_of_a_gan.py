import keras
from keras import layers
import tensorflow as tf

g, d = keras.Sequential([layers.Dense(4)]), keras.Sequential([layers.Dense(1)])
g_opt, d_opt = keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-4)
for real in dataset:
    with tf.GradientTape() as gt, tf.GradientTape() as dt:
        fake = g(tf.random.normal((32, 8)))
        g_loss, d_loss = -tf.reduce_mean(d(fake)), tf.reduce_mean(d(fake)) - tf.reduce_mean(d(real))
    g_opt.apply_gradients(zip(gt.gradient(g_loss, g.trainable_variables), g.trainable_variables))
    d_opt.apply_gradients(zip(dt.gradient(d_loss, d.trainable_variables), d.trainable_variables))
