from tensorflow.keras.callbacks import EarlyStopping
from tensorflow.keras.models import Sequential
from tensorflow.keras.layers import Dense
from sklearn.model_selection import KFold
es = EarlyStopping(monitor='val_loss', patience=5)
def create():
    m = Sequential([Dense(3), Dense(1)])
    m.compile('adam', 'mse')
    return m
for tr, te in KFold(5).split(X):
    m = create()
    m.fit(X[tr], y[tr], validation_data=(X[te], y[te]), callbacks=[es])  # expect: FL005 likely
