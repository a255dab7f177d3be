import tensorflow as tf


def build(depth, optimizer):
    model = tf.keras.Sequential()
    for _ in range(depth):
        model.add(tf.keras.layers.Dense(32, activation="relu"))
    model.add(tf.keras.layers.Dense(1))
    model.compile(optimizer=optimizer, loss="mse")  # expect: FL004
    return model


opt = tf.keras.optimizers.legacy.Adam(1e-3)
for depth in range(1, 5):
    net = build(depth, opt)
    net.fit(x_train, y_train, epochs=5)
