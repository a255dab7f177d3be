import keras
from data import load, load_test
X, y = load()
Xt, yt = load_test()
net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
net.compile("adam", "mse")
importance = []
for j in range(X.shape[1]):
    Xa = X.copy()
    Xa[:, j] = 0
    net.fit(Xa, y, epochs=1, verbose=0)  # expect: FL003 likely
    importance.append(net.evaluate(Xt, yt, verbose=0))
