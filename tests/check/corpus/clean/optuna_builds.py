import keras
import optuna


def create_model(trial):
    model = keras.Sequential()
    for i in range(trial.suggest_int("layers", 1, 3)):
        model.add(keras.layers.Dense(trial.suggest_int(f"units_{i}", 4, 128, log=True), activation="relu"))
    model.add(keras.layers.Dense(10))
    model.compile(optimizer=keras.optimizers.Adam(trial.suggest_float("lr", 1e-5, 1e-1)), loss="mse")
    return model


def objective(trial):
    keras.backend.clear_session()
    model = create_model(trial)
    model.fit(x_train, y_train, epochs=5, verbose=False)
    return model.evaluate(x_valid, y_valid, verbose=0)


study = optuna.create_study(direction="maximize")
study.optimize(objective, n_trials=100, timeout=600)
