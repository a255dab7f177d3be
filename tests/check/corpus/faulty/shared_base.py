import keras
from keras import layers
base = keras.applications.MobileNetV2(include_top=False, pooling="avg")
histories = {}
for width in (32, 64):
    net = keras.Sequential([base, layers.Dense(width, activation="relu"), layers.Dense(1)])  # expect: FL008
    net.compile("adam", "binary_crossentropy")
    histories[width] = net.fit(images, labels, epochs=3)
