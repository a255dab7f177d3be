import keras


class Experiment:
    def __init__(self, units):
        self.model = keras.Sequential([keras.layers.Dense(units, activation="relu"), keras.layers.Dense(1)])

    def run(self, rate):
        self.model.compile(optimizer=keras.optimizers.Adam(rate), loss="mse")
        history = self.model.fit(x, y, epochs=10, verbose=0)  # expect: FL003
        return history.history["loss"][-1]


experiment = Experiment(64)
for rate in [0.1, 0.01, 0.001]:
    print(rate, experiment.run(rate))
