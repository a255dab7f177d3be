import fairlane as fl
import keras

template = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
template.compile("adam", "mse")
for seed in range(5):
    model = fl.fresh(template, seed=seed)
    model.fit(x, y, epochs=3)
copied = fl.copy(template)
copied.compile("sgd", "mse")
copied.fit(x, y)
template.fit(x, y)
