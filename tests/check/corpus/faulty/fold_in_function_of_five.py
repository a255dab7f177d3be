import keras
from sklearn.model_selection import StratifiedKFold


def one_fold(net, inside, inside_targets, outside, outside_targets):
    net.fit(inside, inside_targets, epochs=5)  # expect: FL010
    return net.evaluate(outside, outside_targets)


def network():
    net = keras.Sequential([keras.layers.Dense(1)])
    net.compile("sgd", "mse")
    return net


if __name__ == "__main__":
    splitter = StratifiedKFold(n_splits=4)
    net = network()
    for number, (inside, outside) in enumerate(splitter.split(x, y)):
        print(number, one_fold(net, x[inside], y[inside], x[outside], y[outside]))
