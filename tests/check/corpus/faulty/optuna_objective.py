import keras
import optuna

model = keras.Sequential([keras.layers.Dense(32, activation="relu"), keras.layers.Dense(1)])


def objective(trial):
    rate = trial.suggest_float("rate", 1e-5, 1e-1, log=True)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="mse")
    history = model.fit(x, y, validation_split=0.2, epochs=10, verbose=0)  # expect: FL003
    return history.history["val_loss"][-1]


study = optuna.create_study(direction="minimize")
study.optimize(objective, n_trials=50)
