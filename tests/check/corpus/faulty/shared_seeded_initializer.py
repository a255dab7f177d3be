import tensorflow as tf

glorot = tf.keras.initializers.GlorotUniform(seed=7)


def build():
    inputs = tf.keras.Input((10,))
    x = tf.keras.layers.Dense(32, kernel_initializer=glorot)(inputs)  # expect: FL007
    return tf.keras.Model(inputs, tf.keras.layers.Dense(1)(x))


ensemble = [build() for _ in range(5)]
for member in ensemble:
    member.compile("adam", "mse")
    member.fit(x_train, y_train, epochs=3)
