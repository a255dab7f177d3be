import tensorflow as tf

inputs = tf.keras.Input(shape=(32, 32, 3))
h = tf.keras.layers.Conv2D(16, 3, activation="relu")(inputs)
h = tf.keras.layers.GlobalAveragePooling2D()(h)
outputs = tf.keras.layers.Dense(10)(h)
cnn = tf.keras.Model(inputs, outputs)


def experiment(optimizer):
    cnn.compile(
        optimizer=optimizer,
        loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    cnn.fit(train_ds, validation_data=val_ds, epochs=3)  # expect: FL002
    return cnn.evaluate(test_ds)


print(experiment("adam"))
print(experiment("sgd"))
