import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
from sklearn.model_selection import train_test_split
def repeat(model, n):
    accs = []
    for i in range(n):
        Xtr, Xte, ytr, yte = train_test_split(x, y, test_size=0.2)
        model.fit(Xtr, ytr, epochs=5, validation_data=(Xte, yte))  # expect: FL010 likely
        accs.append(model.evaluate(Xte, yte)[1])
    return accs
