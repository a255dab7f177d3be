import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
def build_generator():
    return keras.Sequential([keras.layers.Dense(4)])
def build_discriminator():
    m = keras.Sequential([keras.layers.Dense(1)])
    m.compile(loss="binary_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    return m
optimizer = keras.optimizers.Adam(0.0002, 0.5)
discriminator = build_discriminator()
generator = build_generator()
z = keras.Input((100,))
discriminator.trainable = False
combined = keras.Model(z, discriminator(generator(z)))
combined.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(0.0002, 0.5))
for epoch in range(1000):
    idx = np.random.randint(0, 60, 32)
    discriminator.train_on_batch(x[idx], np.ones((32, 1)))
    combined.train_on_batch(np.random.normal(size=(32, 100)), np.ones((32, 1)))
