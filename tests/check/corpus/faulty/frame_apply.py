import pandas as pd
import keras
from data import load
X, y = load()
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
def score(row):
    model.compile(keras.optimizers.RMSprop(row["lr"]), "mse")
    h = model.fit(X, y, batch_size=int(row["bs"]), validation_split=0.2, verbose=0)  # expect: FL003
    return h.history["val_loss"][-1]
grid = pd.DataFrame({"lr": [0.1, 0.01], "bs": [8, 16]})
grid["val"] = grid.apply(score, axis=1)
print(grid.sort_values("val"))
