import keras

model = keras.Sequential([keras.layers.LSTM(32), keras.layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
model.fit(x_pretrain, y_pretrain, epochs=20)

model.compile(optimizer=keras.optimizers.Adam(1e-5), loss="mse")
model.fit(x_target, y_target, epochs=5)
