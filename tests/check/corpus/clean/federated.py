import keras
import numpy as np


def create():
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


global_model = create()
for round_ in range(5):
    updates = []
    for client in clients:
        local = create()
        local.set_weights(global_model.get_weights())
        local.fit(client.x, client.y, epochs=1, verbose=0)
        updates.append(local.get_weights())
    global_model.set_weights([np.mean(w, axis=0) for w in zip(*updates)])
