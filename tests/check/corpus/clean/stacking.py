import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from tensorflow import keras


def make_mlp():
    model = keras.Sequential([keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy")
    return model


def make_cnn():
    inputs = keras.Input((32, 1))
    h = keras.layers.Conv1D(8, 3)(inputs)
    outputs = keras.layers.Dense(1, activation="sigmoid")(keras.layers.Flatten()(h))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "binary_crossentropy")
    return model


kf = KFold(5, shuffle=True, random_state=1)
oof = np.zeros((len(X), 2))
models = {}
for m, maker in enumerate([make_mlp, make_cnn]):
    for fold, (tr, va) in enumerate(kf.split(X)):
        keras.backend.clear_session()
        model = maker()
        model.fit(X[tr], y[tr], epochs=3, verbose=0)
        oof[va, m] = model.predict(X[va]).ravel()
        models[m, fold] = model
meta = LogisticRegression().fit(oof, y)
final = make_mlp()
final.fit(X, y)
