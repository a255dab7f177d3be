import keras

model = keras.models.load_model("trained.keras", compile=False)
model.compile("adam", "mse", metrics=["mae"])
print(model.evaluate(x, y))
model.compile("adam", "mse", metrics=["mape"])
print(model.evaluate(x, y))
