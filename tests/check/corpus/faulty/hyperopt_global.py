from hyperopt import fmin, tpe, hp, Trials, STATUS_OK
import keras
from data import load
X, y = load()
net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(10, activation="relu"), keras.layers.Dense(1)])
def f(params):
    net.compile(optimizer=keras.optimizers.Adam(params["lr"]), loss="mse")
    hist = net.fit(X, y, epochs=1, batch_size=int(params["bs"]), validation_split=0.3, verbose=0)  # expect: FL003
    return {"loss": hist.history["val_loss"][-1], "status": STATUS_OK}
best = fmin(f, {"lr": hp.loguniform("lr", -7, 0), "bs": hp.quniform("bs", 8, 32, 8)}, algo=tpe.suggest, max_evals=5, trials=Trials())
