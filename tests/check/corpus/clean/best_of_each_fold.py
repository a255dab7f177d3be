import keras
from keras import layers
from sklearn.model_selection import KFold


def build():
    net = keras.Sequential([layers.Dense(1)])
    net.compile("sgd", "mse")
    return net


for train, test in KFold(4).split(x):
    net = build()
    keep = keras.callbacks.ModelCheckpoint("best.weights.h5", save_weights_only=True)
    net.fit(x[train], y[train], epochs=3, callbacks=[keep])
    net.load_weights("best.weights.h5")
    print(net.evaluate(x[test], y[test]))
