import keras
from keras import layers
net = keras.Sequential([layers.Dense(1)])
net.compile("sgd", "mse")
scores = []
for who in frame.subject.unique():
    train = frame[frame.subject != who]
    test = frame[frame.subject == who]
    net.fit(train[columns], train["target"], epochs=20)  # expect: FL010
    scores.append(net.evaluate(test[columns], test["target"]))
