import keras

model = keras.Sequential([keras.layers.Dense(1)])
model.compile("adam", "mse")
model.summary()
model.compile("sgd", "mae")
model.evaluate(x, y)
model.fit(x, y)
model.compile(loss="mse", metrics=["mae"])
model.evaluate(x, y)
