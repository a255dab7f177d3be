import keras
from keras import layers, ops


def euclidean_distance(vectors):
    x, y = vectors
    return ops.sqrt(ops.maximum(ops.sum(ops.square(x - y), axis=1, keepdims=True), keras.backend.epsilon()))


tower = keras.Sequential([layers.Conv2D(4, 5), layers.Flatten(), layers.Dense(10)])
left, right = keras.Input((28, 28, 1)), keras.Input((28, 28, 1))
merged = layers.Lambda(euclidean_distance)([tower(left), tower(right)])
siamese = keras.Model([left, right], layers.Dense(1, activation="sigmoid")(merged))
siamese.compile("rmsprop", "binary_crossentropy")
siamese.fit([a, b], same, epochs=10)
embeddings = tower.predict(images)
