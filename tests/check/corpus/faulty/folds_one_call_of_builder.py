import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
# deep learning with python k-fold, builder, but called outside
k = 4
num = len(x) // k
all_scores = []
def build_model():
    model = keras.Sequential([keras.layers.Dense(64), keras.layers.Dense(1)])
    model.compile(optimizer="rmsprop", loss="mse", metrics=["mae"])
    return model
model = build_model()
for i in range(k):
    print("processing fold #", i)
    val_data = x[i * num: (i + 1) * num]
    val_targets = y[i * num: (i + 1) * num]
    partial_train_data = np.concatenate([x[:i * num], x[(i + 1) * num:]], axis=0)
    partial_train_targets = np.concatenate([y[:i * num], y[(i + 1) * num:]], axis=0)
    model.fit(partial_train_data, partial_train_targets, epochs=10, batch_size=1, verbose=0)  # expect: FL010
    val_mse, val_mae = model.evaluate(val_data, val_targets, verbose=0)
    all_scores.append(val_mae)
