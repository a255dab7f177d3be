import tensorflow as tf

strategy = tf.distribute.MirroredStrategy()


def create_model():
    return tf.keras.Sequential([tf.keras.layers.Conv2D(32, 3), tf.keras.layers.Flatten(), tf.keras.layers.Dense(10)])


with strategy.scope():
    model = create_model()
    model.compile(loss="mse", optimizer=tf.keras.optimizers.Adam(), metrics=["accuracy"])
callbacks = [
    tf.keras.callbacks.TensorBoard(log_dir="./logs"),
    tf.keras.callbacks.ModelCheckpoint(filepath="ckpt", save_weights_only=True),
]
model.fit(train_dataset, epochs=12, callbacks=callbacks)
model.load_weights(tf.train.latest_checkpoint("dir"))
eval_loss, eval_acc = model.evaluate(eval_dataset)
with strategy.scope():
    replicated_model = tf.keras.models.load_model("path")
    replicated_model.compile(loss="mse", optimizer=tf.keras.optimizers.Adam(), metrics=["accuracy"])
    replicated_model.fit(train_dataset, epochs=2, callbacks=callbacks[:1])
