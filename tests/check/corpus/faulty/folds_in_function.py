import keras
from keras import layers
def fold_data(i, n):
    lo, hi = i * n, (i + 1) * n
    return x[:lo] + x[hi:], x[lo:hi]


def run():
    net = keras.Sequential([layers.Dense(1)])
    net.compile("sgd", "mse")
    for i in range(4):
        train, test = fold_data(i, 25)
        net.fit(train, train, epochs=3)  # expect: FL010
        net.evaluate(test, test)


run()
