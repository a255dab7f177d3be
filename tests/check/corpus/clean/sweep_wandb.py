import keras
import wandb
from wandb.keras import WandbCallback

sweep = {"method": "grid", "parameters": {"units": {"values": [8, 16]}, "rate": {"values": [0.1, 0.01]}}}


def train():
    run = wandb.init()
    keras.utils.set_random_seed(run.config.get("seed", 0))
    model = keras.Sequential([keras.layers.Dense(run.config.units), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(run.config.rate), "mse")
    model.fit(x, y, callbacks=[WandbCallback()])


wandb.agent(wandb.sweep(sweep), train, count=4)
