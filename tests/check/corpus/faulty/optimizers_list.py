import tensorflow as tf
from tensorflow.keras import layers, models

def create_model():
    model = models.Sequential()
    model.add(layers.Conv2D(32, (3, 3), activation='relu', input_shape=(32, 32, 3)))
    model.add(layers.Flatten())
    model.add(layers.Dense(10))
    return model

model = create_model()
model.summary()
histories = []
optimizers = [tf.keras.optimizers.SGD(), tf.keras.optimizers.Adam(), tf.keras.optimizers.RMSprop()]
for opt in optimizers:
    print("Training with", opt)
    model.compile(optimizer=opt, loss='mse', metrics=['accuracy'])
    h = model.fit(train_images, train_labels, epochs=10, validation_data=(test_images, test_labels))  # expect: FL003
    histories.append(h)
