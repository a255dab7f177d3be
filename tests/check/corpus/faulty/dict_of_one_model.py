import keras
models = {"a": keras.Sequential([keras.layers.Dense(1)])}
models["b"] = models["a"]
for name, m in models.items():
    m.compile("adam", "mse")
    m.fit(x, y)  # expect: FL003
