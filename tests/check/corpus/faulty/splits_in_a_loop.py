import keras
from keras import layers
from sklearn.model_selection import train_test_split

clf = keras.Sequential([layers.Dense(4, activation="relu"), layers.Dense(1, activation="sigmoid")])
clf.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
results = []
for state in [1, 7, 42]:
    a, b, c, d = train_test_split(features, labels, test_size=0.3, random_state=state)
    clf.fit(a, c, epochs=30, batch_size=16, verbose=0)  # expect: FL010
    results.append(clf.evaluate(b, d, verbose=0)[1])
