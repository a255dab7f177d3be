import keras
from keras.models import Sequential
from keras.layers import Dense
def experiment(lr, model):
    m = model  # expect: FL001
    opt = keras.optimizers.Adam(lr)
    m.compile(loss="mse", optimizer=opt)
    hist = m.fit(X, Y, epochs=3)
    if hist.history["loss"][-1] > 1:
        print("bad")
    return hist
base = Sequential([Dense(3), Dense(1)])
res = []
for lr in [0.1, 0.2]:
    res.append(experiment(lr, base))
