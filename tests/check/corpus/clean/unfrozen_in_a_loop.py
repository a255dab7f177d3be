import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
# fine-tuning after trainable changed through a loop over layers
base = keras.applications.VGG16(include_top=False, pooling="avg")
for layer in base.layers:
    layer.trainable = False
m = keras.Sequential([base, keras.layers.Dense(1)])
m.compile("adam", "mse")
h = m.fit(x, y, epochs=3)
for layer in base.layers[-4:]:
    layer.trainable = True
m.compile(keras.optimizers.Adam(1e-5), "mse")
h2 = m.fit(x, y, epochs=3)
