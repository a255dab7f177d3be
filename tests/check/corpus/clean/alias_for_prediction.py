import keras

model = keras.Sequential([keras.layers.Dense(1)])
net = model
net.compile("adam", "mse")
net.fit(x, y, epochs=3)
best = net
print(best.predict(x_test))
final_model = best
final_model.save("final.keras")
