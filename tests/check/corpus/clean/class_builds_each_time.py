from dataclasses import dataclass

import keras


@dataclass
class Config:
    units: int
    rate: float = 1e-3


class Trainer:
    def __init__(self, config):
        self.config = config
        self.model = self._build()

    def _build(self):
        model = keras.Sequential([keras.layers.Dense(self.config.units), keras.layers.Dense(1)])
        model.compile(keras.optimizers.Adam(self.config.rate), "mse")
        return model

    def run(self):
        self.model.compile(keras.optimizers.Adam(self.config.rate), "mse")
        return self.model.fit(x, y, epochs=3)

    def again(self):
        self.model = self._build()
        return self.run()


for config in [Config(8), Config(16, 1e-2)]:
    trainer = Trainer(config)
    trainer.run()
    trainer.again()
