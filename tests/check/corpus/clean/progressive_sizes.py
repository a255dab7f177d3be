import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
# progressive resizing
m = keras.Sequential([keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1)])
for size in (64, 128, 224):
    train = keras.utils.image_dataset_from_directory("d", image_size=(size, size))
    m.compile(keras.optimizers.Adam(1e-3 * 64 / size), "binary_crossentropy")
    m.fit(train, epochs=5)
