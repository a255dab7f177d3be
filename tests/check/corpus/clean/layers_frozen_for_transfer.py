from keras.layers import Activation, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from keras.models import Sequential

feature_layers = [
    Conv2D(32, 3, padding="valid", input_shape=(28, 28, 1)),
    Activation("relu"),
    MaxPooling2D(pool_size=2),
    Flatten(),
]
classification_layers = [Dense(128), Activation("relu"), Dropout(0.5), Dense(5), Activation("softmax")]


def train_model(model, train, test):
    model.compile(loss="categorical_crossentropy", optimizer="adadelta", metrics=["accuracy"])
    model.fit(train[0], train[1], batch_size=128, epochs=5, validation_data=test)


model = Sequential(feature_layers + classification_layers)
train_model(model, (x_lt5, y_lt5), (x_test_lt5, y_test_lt5))
for layer in feature_layers:
    layer.trainable = False
train_model(model, (x_gte5, y_gte5), (x_test_gte5, y_test_gte5))
other = Sequential([*feature_layers, Dense(3, activation="softmax")])
train_model(other, (x_3, y_3), (x_test_3, y_test_3))
