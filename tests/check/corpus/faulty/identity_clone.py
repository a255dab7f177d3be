import keras, copy
model = keras.Sequential([keras.layers.Dense(1)])
def clone(m):
    return m
a = clone(model)
a.compile("adam", "mse"); a.fit(x, y)
b = clone(model)
b.compile("sgd", "mse"); b.fit(x, y)  # expect: FL002 likely
