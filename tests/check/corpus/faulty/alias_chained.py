import keras

adam_model = sgd_model = keras.Sequential([keras.layers.Dense(1)])  # expect: FL001
adam_model.compile("adam", loss="mse")
adam_model.fit(x, y, epochs=3)
sgd_model.compile("sgd", loss="mse")
sgd_model.fit(x, y, epochs=3)
