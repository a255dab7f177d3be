import tensorflow as tf
from tensorflow import keras
from sklearn.model_selection import KFold
layers = [keras.layers.Dense(32, activation="relu"), keras.layers.Dense(10, activation="softmax")]
def create_model(layers):
    model = keras.Sequential(layers)  # expect: FL008
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
kf = KFold(n_splits=3)
for train_index, test_index in kf.split(x_train):
    model = create_model(layers)
    model.fit(x_train[train_index], y_train[train_index], epochs=2, validation_data=(x_train[test_index], y_train[test_index]))
