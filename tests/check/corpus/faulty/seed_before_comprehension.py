import keras
keras.utils.set_random_seed(1)  # expect: FL009 likely
def run(lr):
    m = keras.Sequential([keras.layers.Dense(1)])
    m.compile(keras.optimizers.SGD(lr), "mse")
    return m.fit(x, y)
h = {lr: run(lr) for lr in [0.1, 0.2]}
