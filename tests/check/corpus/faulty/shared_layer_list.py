from tensorflow.keras import layers, models, optimizers

stack = [
    layers.Conv2D(16, 3, activation="relu"),
    layers.MaxPooling2D(),
    layers.Flatten(),
    layers.Dense(10, activation="softmax"),
]
for rate in [1e-2, 1e-3]:
    model = models.Sequential(stack)  # expect: FL008
    model.compile(optimizer=optimizers.Adam(rate), loss="sparse_categorical_crossentropy")
    model.fit(images, labels, epochs=3)
