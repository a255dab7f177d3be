import keras
from keras import layers, losses, initializers

normalizer = layers.Normalization()
normalizer.adapt(x)
augment = keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.1)])
flatten = layers.Flatten()
relu = layers.Activation("relu")
loss = losses.MeanSquaredError()
zeros = initializers.Zeros()
bias = initializers.Constant(0.1)


def build(units):
    return keras.Sequential(
        [
            augment,
            normalizer,
            flatten,
            layers.Dense(units, kernel_initializer="he_normal", bias_initializer=bias),
            relu,
            layers.Dense(1, bias_initializer=zeros),
        ]
    )


for units in (8, 16):
    model = build(units)
    model.compile(optimizer="adam", loss=loss, metrics=["mae"])
    model.fit(x, y, callbacks=[keras.callbacks.TerminateOnNaN()])
