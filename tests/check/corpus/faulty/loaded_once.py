import keras

model = keras.models.load_model("initial.keras")
for rate in [1e-3, 1e-4]:
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="mse")
    model.fit(x, y, epochs=5)  # expect: FL003 likely
