import numpy as np, keras
from data import load, load_test
X_train, y_train = load()
X_test, y_test = load_test()
model = keras.Sequential()
model.add(keras.layers.Dense(10, activation="relu"))
model.add(keras.layers.Dense(1))
model.compile(loss="mse", optimizer="adam")
errors = []
# run it 5 times to see how stable the result is
for _ in range(5):
    model.fit(X_train, y_train, epochs=1, verbose=0)  # expect: FL003 likely
    errors.append(model.evaluate(X_test, y_test, verbose=0))
print(f"mean {np.mean(errors):.3f} std {np.std(errors):.3f}")
