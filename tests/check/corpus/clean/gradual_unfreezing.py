import keras

base = keras.applications.EfficientNetB0(include_top=False, pooling="avg")
model = keras.Sequential([base, keras.layers.Dense(5, activation="softmax")])
for depth in (0, 20, 50):
    for layer in base.layers[-depth:]:
        if not isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = True
    model.compile(keras.optimizers.Adam(1e-4), "categorical_crossentropy")
    model.fit(train_ds, epochs=5)
