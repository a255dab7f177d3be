import keras
import matplotlib.pyplot as plt

model = keras.Sequential([keras.layers.Dense(64, activation="relu"), keras.layers.Dense(1)])
for lr in (1e-1, 1e-2, 1e-3):
    model.compile(optimizer=keras.optimizers.SGD(learning_rate=lr), loss="mse")
    history = model.fit(x, y, epochs=20, verbose=0)  # expect: FL003
    plt.plot(history.history["loss"], label=str(lr))
plt.legend()
plt.show()
