import keras
from keras import layers

input_img = keras.Input(shape=(784,))
encoded = layers.Dense(32, activation="relu")(input_img)
decoded_layer = layers.Dense(784, activation="sigmoid")
autoencoder = keras.Model(input_img, decoded_layer(encoded))
encoder = keras.Model(input_img, encoded)
encoded_input = keras.Input(shape=(32,))
decoder = keras.Model(encoded_input, autoencoder.layers[-1](encoded_input))
autoencoder.compile(optimizer="adam", loss="binary_crossentropy")
autoencoder.fit(x_train, x_train, epochs=50, validation_data=(x_test, x_test))
encoded_imgs = encoder.predict(x_test)
decoded_imgs = decoder.predict(encoded_imgs)

classifier = keras.Model(input_img, layers.Dense(10, activation="softmax")(encoded))
classifier.compile("adam", "sparse_categorical_crossentropy")
classifier.fit(x_train, y_train, epochs=5)
