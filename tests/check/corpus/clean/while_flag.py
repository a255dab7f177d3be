import keras

model = keras.Sequential([keras.layers.Dense(8), keras.layers.Dense(1)])
done = False
batch = 512
while not done:
    try:
        model.compile("adam", "mse")
        model.fit(x, y, batch_size=batch)
        done = True
    except MemoryError:
        batch //= 2
