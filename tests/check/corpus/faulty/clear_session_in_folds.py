import tensorflow as tf
from sklearn.model_selection import KFold
model = tf.keras.models.Sequential([tf.keras.layers.Dense(4), tf.keras.layers.Dense(1)])
kfold = KFold(n_splits=5, shuffle=True)
cvscores = []
for train, test in kfold.split(X, Y):
    tf.keras.backend.clear_session()
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(X[train], Y[train], epochs=150, batch_size=10, verbose=0)  # expect: FL010
    scores = model.evaluate(X[test], Y[test], verbose=0)
    cvscores.append(scores[1] * 100)
