import keras


def fit_stage(model, data, rate, trainable):
    model.trainable = trainable
    model.compile(keras.optimizers.Adam(rate), "mse")
    return model.fit(data, epochs=3)


base = keras.applications.ResNet50(include_top=False, pooling="avg")
model = keras.Sequential([base, keras.layers.Dense(1)])
fit_stage(model, train, 1e-3, False)
fit_stage(model, train, 1e-5, True)
