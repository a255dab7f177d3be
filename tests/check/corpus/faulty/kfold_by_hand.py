import keras
import numpy as np

k = 4
num_val_samples = len(train_data) // k
model = keras.Sequential([keras.layers.Dense(64, activation="relu"), keras.layers.Dense(1)])
model.compile(optimizer="rmsprop", loss="mse", metrics=["mae"])
all_scores = []
for fold in range(k):
    val = slice(fold * num_val_samples, (fold + 1) * num_val_samples)
    rest = np.delete(np.arange(len(train_data)), np.r_[val])
    model.fit(train_data[rest], train_targets[rest], epochs=100, verbose=0)  # expect: FL010
    all_scores.append(model.evaluate(train_data[val], train_targets[val], verbose=0)[1])
