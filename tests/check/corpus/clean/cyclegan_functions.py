from keras.initializers import RandomNormal
from keras.layers import Activation, Conv2D, Input
from keras.models import Model
from keras.optimizers import Adam


def define_discriminator(shape):
    source = Input(shape=shape)
    d = Conv2D(64, (4, 4), strides=(2, 2), kernel_initializer=RandomNormal(stddev=0.02))(source)
    d = Activation("relu")(d)
    out = Conv2D(1, (4, 4), kernel_initializer=RandomNormal(stddev=0.02))(d)
    model = Model(source, out)
    model.compile(loss="mse", optimizer=Adam(learning_rate=0.0002, beta_1=0.5), loss_weights=[0.5])
    return model


def define_generator(shape):
    source = Input(shape=shape)
    g = Conv2D(64, (7, 7), padding="same", kernel_initializer=RandomNormal(stddev=0.02))(source)
    return Model(source, Activation("tanh")(g))


def define_composite(g_model_1, d_model, g_model_2, shape):
    g_model_1.trainable = True
    d_model.trainable = False
    g_model_2.trainable = False
    input_gen = Input(shape=shape)
    gen1_out = g_model_1(input_gen)
    output_d = d_model(gen1_out)
    input_id = Input(shape=shape)
    output_id = g_model_1(input_id)
    output_f = g_model_2(gen1_out)
    output_b = g_model_1(g_model_2(input_id))
    model = Model([input_gen, input_id], [output_d, output_id, output_f, output_b])
    model.compile(loss=["mse", "mae", "mae", "mae"], optimizer=Adam(learning_rate=0.0002, beta_1=0.5))
    return model


def train(d_a, d_b, g_ab, g_ba, c_ab, c_ba, epochs=100):
    for i in range(epochs):
        c_ba.train_on_batch([xb, xa], [yb, xa, xb, xa])
        d_a.train_on_batch(xa, ya)
        c_ab.train_on_batch([xa, xb], [ya, xb, xa, xb])
        d_b.train_on_batch(xb, yb)


shape = (256, 256, 3)
g_ab, g_ba = define_generator(shape), define_generator(shape)
d_a, d_b = define_discriminator(shape), define_discriminator(shape)
c_ab = define_composite(g_ab, d_b, g_ba, shape)
c_ba = define_composite(g_ba, d_a, g_ab, shape)
train(d_a, d_b, g_ab, g_ba, c_ab, c_ba)
