from scikeras.wrappers import KerasRegressor
from sklearn.model_selection import GridSearchCV, cross_val_score
from tensorflow import keras


def make(units=8):
    model = keras.Sequential([keras.layers.Dense(units), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


estimator = KerasRegressor(model=make, units=8, epochs=10)
print(cross_val_score(estimator, X, y, cv=5))
search = GridSearchCV(estimator, {"units": [8, 16]}, cv=3)
search.fit(X, y)
