import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
import itertools
from keras_zoo import load_net
net = load_net("resnet")
best = None
for lr, bs in itertools.product([1e-2, 1e-3], [16, 32]):
    net.compile(optimizer=keras.optimizers.SGD(lr), loss="categorical_crossentropy", metrics=["accuracy"])
    hist = net.fit(x, y, batch_size=bs, epochs=3, verbose=0)  # expect: FL003
    acc = max(hist.history["accuracy"])
    if best is None or acc > best[0]:
        best = (acc, lr, bs)
