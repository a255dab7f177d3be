import keras
from keras import layers, ops


class GAN(keras.Model):
    def __init__(self, discriminator, generator, latent_dim):
        super().__init__()
        self.discriminator = discriminator
        self.generator = generator
        self.latent_dim = latent_dim
        self.seed_generator = keras.random.SeedGenerator(1337)

    def compile(self, d_optimizer, g_optimizer, loss_fn):
        super().compile()
        self.d_optimizer = d_optimizer
        self.g_optimizer = g_optimizer
        self.loss_fn = loss_fn
        self.d_loss_metric = keras.metrics.Mean(name="d_loss")

    def train_step(self, real_images):
        noise = keras.random.normal((32, self.latent_dim), seed=self.seed_generator)
        return {"d_loss": self.d_loss_metric.result(), "noise": ops.mean(noise)}


discriminator = keras.Sequential([layers.Conv2D(64, 4, strides=2), layers.Flatten(), layers.Dense(1)])
generator = keras.Sequential([layers.Dense(8 * 8 * 128), layers.Reshape((8, 8, 128))])
gan = GAN(discriminator=discriminator, generator=generator, latent_dim=128)
gan.compile(
    d_optimizer=keras.optimizers.Adam(learning_rate=0.0001),
    g_optimizer=keras.optimizers.Adam(learning_rate=0.0001),
    loss_fn=keras.losses.BinaryCrossentropy(),
)
gan.fit(dataset, epochs=1)
gan.fit(dataset, epochs=1)
