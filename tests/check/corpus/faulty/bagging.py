from keras.models import Model
from keras.layers import Input, Dense
inp = Input((4,))
h = Dense(8)(inp)
model = Model(inp, Dense(1)(h))
model.compile("adam", "mse")
preds = []
for bag in range(10):
    idx = np.random.choice(len(x), len(x))
    model.fit(x[idx], y[idx], epochs=20, verbose=0)  # expect: FL003 likely
    preds.append(model.predict(x_test))
