import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold
from tensorflow.keras.layers import Dense
from tensorflow.keras.models import Sequential

kfold = StratifiedKFold(n_splits=10, shuffle=True, random_state=7)
cvscores = []
for train, test in kfold.split(X, Y):
    model = Sequential()
    model.add(Dense(12, input_dim=8, activation="relu"))
    model.add(Dense(1, activation="sigmoid"))
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(X[train], Y[train], epochs=150, batch_size=10, verbose=0)
    scores = model.evaluate(X[test], Y[test], verbose=0)
    cvscores.append(scores[1] * 100)
print(f"{np.mean(cvscores):.2f}% (+/- {np.std(cvscores):.2f}%)")
