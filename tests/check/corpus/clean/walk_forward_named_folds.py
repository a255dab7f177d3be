import keras
from keras import layers
from sklearn.model_selection import TimeSeriesSplit

net = keras.Sequential([layers.Dense(1)])
net.compile("sgd", "mse")
splitter = TimeSeriesSplit(n_splits=4)
for i, (train, test) in enumerate(splitter.split(x)):
    net.fit(x[train], y[train], epochs=3)
    print(net.evaluate(x[test], y[test]))
