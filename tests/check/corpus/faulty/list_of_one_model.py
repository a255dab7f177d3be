import keras

model = keras.Sequential([keras.layers.Dense(1)])
models = [model] * 3
for member in models:
    member.compile("adam", "mse")
    member.fit(x, y, epochs=2)  # expect: FL003
