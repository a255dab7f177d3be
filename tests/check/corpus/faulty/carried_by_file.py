import keras
from keras import layers
from sklearn.model_selection import KFold

path = "current.keras"
keras.Sequential([layers.Dense(1)]).save(path)
for train, test in KFold(4).split(x):
    net = keras.models.load_model(path)
    net.compile("sgd", "mse")
    net.fit(x[train], y[train], epochs=3)  # expect: FL010
    print(net.evaluate(x[test], y[test]))
    net.save(path)
