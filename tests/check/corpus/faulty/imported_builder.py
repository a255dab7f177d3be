import keras
from keras import layers
from project.networks import make_network

network = make_network(depth=3)
scores = []
for units in range(3):
    network.compile(optimizer="adam", loss="mae")
    network.fit(x, y, epochs=2)  # expect: FL003
    scores.append(network.evaluate(x, y))
