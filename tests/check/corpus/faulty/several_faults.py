import keras

opt = keras.optimizers.Adam()
stop = keras.callbacks.EarlyStopping(patience=2)
keras.utils.set_random_seed(1)  # expect: FL009 likely
for units in [4, 8]:
    model = keras.Sequential([keras.layers.Dense(units), keras.layers.Dense(1)])
    model.compile(optimizer=opt, loss="mse")  # expect: FL004
    model.fit(x, y, epochs=9, validation_split=0.1, callbacks=[stop])  # expect: FL005 likely
