import keras
from keras import layers
from project import networks

for rate in (0.01, 0.1):
    net = networks.make()
    net.compile(optimizer=keras.optimizers.Adam(rate), loss="mse")
    net.fit(x, y, epochs=3)


def tune(make, rates):
    for rate in rates:
        net = make(rate)
        net.compile(optimizer="adam", loss="mse")
        net.fit(x, y, epochs=3)
