import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
# GAN class: shared optimizer factory, train_step
class GAN(keras.Model):
    def __init__(self, d, g):
        super().__init__()
        self.d, self.g = d, g
    def compile(self, d_opt, g_opt):
        super().compile()
        self.d_opt, self.g_opt = d_opt, g_opt
    def train_step(self, data):
        import tensorflow as tf
        with tf.GradientTape() as t:
            l = self.d(data)
        self.d_opt.apply_gradients(zip(t.gradient(l, self.d.trainable_weights), self.d.trainable_weights))
        with tf.GradientTape() as t:
            l = self.d(self.g(data))
        self.g_opt.apply_gradients(zip(t.gradient(l, self.g.trainable_weights), self.g.trainable_weights))
gan = GAN(keras.Sequential([keras.layers.Dense(1)]), keras.Sequential([keras.layers.Dense(4)]))
gan.compile(keras.optimizers.Adam(), keras.optimizers.Adam())
gan.fit(x, epochs=2)
