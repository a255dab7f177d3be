import functools

import keras
from keras import layers, optimizers

FACTORIES = {"adam": optimizers.Adam, "sgd": functools.partial(optimizers.SGD, momentum=0.9)}
make_dense = functools.partial(layers.Dense, activation="relu", kernel_initializer="he_normal")


def net(*, width: int, depth: int = 2) -> keras.Model:
    inputs = x = keras.Input((10,))
    for _ in range(depth):
        x = make_dense(width)(x)
    return keras.Model(inputs, layers.Dense(1)(x))


runs = []
for (name, factory), width in ((item, w) for item in FACTORIES.items() for w in (8, 16)):
    model = net(width=width)
    model.compile(optimizer=factory(1e-3), loss="mse")
    runs.append((name, width, model.fit(x_train, y_train, epochs=2)))
