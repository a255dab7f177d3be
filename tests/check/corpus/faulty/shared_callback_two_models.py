import tensorflow as tf

reduce_lr = tf.keras.callbacks.ReduceLROnPlateau(factor=0.2, patience=2)

a = tf.keras.Sequential([tf.keras.layers.Dense(1)])
b = tf.keras.Sequential([tf.keras.layers.Dense(4), tf.keras.layers.Dense(1)])
a.compile("adam", "mse")
b.compile("adam", "mse")
a.fit(x, y, epochs=20, callbacks=[reduce_lr])
b.fit(x, y, epochs=20, callbacks=[reduce_lr])  # expect: FL005 likely
