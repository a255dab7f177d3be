import optuna
from tensorflow import keras
model = keras.Sequential([keras.layers.Dense(1)])
def objective(trial):
    model.compile(optimizer=keras.optimizers.Adam(trial.suggest_float("lr", 1e-5, 1e-1)), loss="mse")
    model.fit(x, y, epochs=3)  # expect: FL003
    return model.evaluate(xv, yv)
study = optuna.create_study()
study.optimize(objective, n_trials=20)
