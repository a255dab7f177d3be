import keras
from keras import initializers, layers

init = initializers.HeNormal()
model = keras.Sequential(
    [
        layers.Dense(64, activation="relu", kernel_initializer=init),
        layers.Dense(64, activation="relu", kernel_initializer=init),  # expect: FL007
        layers.Dense(1, kernel_initializer="glorot_uniform"),
    ]
)
model.compile("adam", "mse")
model.fit(x, y)
