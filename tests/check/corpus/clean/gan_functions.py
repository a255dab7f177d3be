from keras.layers import Dense, Dropout, LeakyReLU
from keras.models import Sequential
from keras.optimizers import Adam


def define_discriminator(n_inputs=2):
    model = Sequential()
    model.add(Dense(25, activation="relu", kernel_initializer="he_uniform", input_dim=n_inputs))
    model.add(Dense(1, activation="sigmoid"))
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model


def define_generator(latent_dim, n_outputs=2):
    model = Sequential()
    model.add(Dense(15, activation="relu", kernel_initializer="he_uniform", input_dim=latent_dim))
    model.add(Dense(n_outputs, activation="linear"))
    return model


def define_gan(generator, discriminator):
    discriminator.trainable = False
    model = Sequential()
    model.add(generator)
    model.add(discriminator)
    model.compile(loss="binary_crossentropy", optimizer=Adam())
    return model


def train(g_model, d_model, gan_model, latent_dim, n_epochs=10000, n_batch=128):
    for i in range(n_epochs):
        x_real, y_real = real_samples(n_batch // 2)
        x_fake, y_fake = fake_samples(g_model, latent_dim, n_batch // 2)
        d_model.train_on_batch(x_real, y_real)
        d_model.train_on_batch(x_fake, y_fake)
        gan_model.train_on_batch(latent_points(latent_dim, n_batch), ones(n_batch))
        if (i + 1) % 2000 == 0:
            summarize(i, g_model, d_model, latent_dim)


latent = 5
discriminator = define_discriminator()
generator = define_generator(latent)
gan_model = define_gan(generator, discriminator)
train(generator, discriminator, gan_model, latent)
