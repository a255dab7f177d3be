from keras import Model, layers
from keras.applications import VGG16

base = VGG16(include_top=False, input_shape=(224, 224, 3))
for layer in base.layers:
    layer.trainable = False
features = layers.Flatten()(base.output)

species = Model(base.input, layers.Dense(20, activation="softmax")(features))
age = Model(base.input, layers.Dense(1)(features))
species.compile("adam", "categorical_crossentropy")
age.compile("adam", "mse")
species.fit(images, labels, epochs=5)
age.fit(images, ages, epochs=5)
