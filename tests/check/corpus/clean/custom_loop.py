import keras
import tensorflow as tf

optimizer = keras.optimizers.Adam()
model = keras.Sequential([keras.layers.Dense(1)])
metric = keras.metrics.MeanSquaredError()
for epoch in range(3):
    for features, targets in dataset:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(features, training=True) - targets) ** 2)
        grads = tape.gradient(loss, model.trainable_weights)
        optimizer.apply_gradients(zip(grads, model.trainable_weights))
        metric.update_state(targets, model(features))
    metric.reset_state()
