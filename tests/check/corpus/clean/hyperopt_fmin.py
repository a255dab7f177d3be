from hyperopt import STATUS_OK, Trials, fmin, hp, tpe
from tensorflow import keras

space = {"units": hp.choice("units", [64, 128]), "rate": hp.loguniform("rate", -7, 0)}


def f_nn(params):
    model = keras.models.Sequential()
    model.add(keras.layers.Dense(params["units"], input_dim=10))
    model.add(keras.layers.Dense(1))
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(params["rate"]))
    result = model.fit(X, y, epochs=3, validation_split=0.1, verbose=0)
    return {"loss": min(result.history["val_loss"]), "status": STATUS_OK, "model": model}


trials = Trials()
best = fmin(f_nn, space, algo=tpe.suggest, max_evals=50, trials=trials)
model = trials.best_trial["result"]["model"]
model.compile("sgd", "mse")
model.fit(X, y)
