from keras.models import Sequential
from keras.layers import Dense
from sklearn.cross_validation import KFold
net = Sequential()
net.add(Dense(4, input_dim=3))
net.compile(loss="mse", optimizer="sgd")
kf = KFold(len(X), n_folds=4)
for train, test in kf:
    net.fit(X[train], y[train], nb_epoch=5)  # expect: FL010
    print(net.evaluate(X[test], y[test]))
