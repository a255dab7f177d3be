import keras

model = keras.Sequential([keras.layers.Dense(8), keras.layers.Dense(1)])
model.compile(optimizer="adam", loss="mse")
model.fit(x, y, epochs=5)
model.save("half.keras")
model.fit(x, y, epochs=10, initial_epoch=5)

resumed = keras.models.load_model("half.keras")
resumed.fit(x, y, epochs=10, initial_epoch=5)

for chunk in range(20):
    features, targets = read_chunk(chunk)
    resumed.fit(features, targets, epochs=1)
