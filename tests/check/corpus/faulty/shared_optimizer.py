import keras
from keras.optimizers import Adam

optimizer = Adam(learning_rate=0.001)

narrow = keras.Sequential([keras.layers.Dense(8), keras.layers.Dense(1)])
narrow.compile(optimizer=optimizer, loss="mse")
wide = keras.Sequential([keras.layers.Dense(64), keras.layers.Dense(1)])
wide.compile(optimizer=optimizer, loss="mse")  # expect: FL004

narrow.fit(x, y, epochs=10)
wide.fit(x, y, epochs=10)
