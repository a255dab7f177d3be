import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
import models
def run(cfg):
    net = models.get(cfg)
    out = []
    for seed in range(cfg.n_seeds):
        np.random.seed(seed)
        keras.utils.set_random_seed(seed)
        net.fit(x, y, epochs=cfg.epochs, validation_split=0.2)  # expect: FL003 likely
        out.append(net.evaluate(x, y))
    return np.mean(out)
