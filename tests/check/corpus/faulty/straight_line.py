from keras.models import Sequential
from keras.layers import Dense, Embedding, LSTM

model = Sequential()
model.add(Embedding(10000, 32))
model.add(LSTM(32))
model.add(Dense(1, activation="sigmoid"))

model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["acc"])
history_rmsprop = model.fit(x_train, y_train, epochs=5, batch_size=128)

model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["acc"])
history_adam = model.fit(x_train, y_train, epochs=5, batch_size=128)  # expect: FL002 likely
