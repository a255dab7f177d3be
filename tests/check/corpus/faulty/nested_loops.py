import keras
inputs = keras.Input((3,))
out = keras.layers.Dense(1)(inputs)
model = keras.Model(inputs, out)
results = {}
for bs in [16, 32]:
    for lr in [0.1, 0.01]:
        model.compile(keras.optimizers.SGD(lr), "mse")
        results[bs, lr] = model.fit(x, y, batch_size=bs)  # expect: FL003
