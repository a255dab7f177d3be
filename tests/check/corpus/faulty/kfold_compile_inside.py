from sklearn.model_selection import StratifiedKFold
from tensorflow.keras.layers import Dense
from tensorflow.keras.models import Sequential

skf = StratifiedKFold(n_splits=10, shuffle=True)
model = Sequential([Dense(32, activation="relu"), Dense(1, activation="sigmoid")])

for fold, (train_idx, val_idx) in enumerate(skf.split(X, y), 1):
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(  # expect: FL010
        X[train_idx], y[train_idx], validation_data=(X[val_idx], y[val_idx]), epochs=10
    )
    print(f"fold {fold}:", model.evaluate(X[val_idx], y[val_idx]))
