from my_models import build_model, get_model, make_optimizer
import keras

model = get_model()
for rate in (0.1, 0.01):
    model.compile(make_optimizer(rate), "mse")
    model.fit(x, y)  # expect: FL003 likely


def tune(network, rates):
    for rate in rates:
        network.compile(keras.optimizers.Adam(rate), "mse")
        network.fit(x, y)  # expect: FL003
