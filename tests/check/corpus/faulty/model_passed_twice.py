import keras


def train(net, rate):
    net.compile(keras.optimizers.Adam(rate), loss="mse")
    return net.fit(x_train, y_train, epochs=10, verbose=0)  # expect: FL002


def main():
    net = keras.Sequential([keras.layers.Dense(10), keras.layers.Dense(1)])
    high = train(net, 1e-2)
    low = train(net, 1e-3)
    print(high.history["loss"][-1], low.history["loss"][-1])


if __name__ == "__main__":
    main()
