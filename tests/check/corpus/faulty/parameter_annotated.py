import keras
from keras import layers
from typing import Optional


def compare(net: Optional[keras.Model], sizes):
    kept = []
    for size in sizes:
        net.compile("sgd", "mse")
        kept.append(net.fit(x, y, batch_size=size))  # expect: FL003
    return kept
