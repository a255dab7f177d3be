import keras
import numpy as np

model = keras.Sequential([keras.layers.Dense(16, activation="relu"), keras.layers.Dense(3, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(x_labelled, y_labelled, epochs=10)
for generation in range(3):
    probabilities = model.predict(x_unlabelled)
    sure = probabilities.max(axis=1) > 0.95
    x_all = np.concatenate([x_labelled, x_unlabelled[sure]])
    y_all = np.concatenate([y_labelled, probabilities[sure].argmax(axis=1)])
    model = keras.models.clone_model(model)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x_all, y_all, epochs=10)
