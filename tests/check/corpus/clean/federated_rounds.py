import keras
from keras import layers
net = keras.Sequential([layers.Dense(1)])
net.compile("sgd", "mse")
for rnd in range(20):
    for client in clients:
        net.fit(client.x, client.y, epochs=1)
    print(net.evaluate(x_test, y_test))
