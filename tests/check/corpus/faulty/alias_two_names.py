from tensorflow.keras.models import Sequential
from tensorflow.keras.layers import Dense

model = Sequential([Dense(8, activation="relu"), Dense(1)])
model_a = model
model_b = model  # expect: FL001

model_a.compile(optimizer="adam", loss="mse")
model_b.compile(optimizer="sgd", loss="mse")
hist_a = model_a.fit(X, y, epochs=10)
hist_b = model_b.fit(X, y, epochs=10)
