import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
# DQN replay
m = keras.Sequential([keras.layers.Dense(2)])
m.compile("adam", "mse")
target = keras.models.clone_model(m)
for episode in range(100):
    s = env.reset()
    for t in range(200):
        batch = memory.sample(32)
        q = m.predict(batch.s)
        m.fit(batch.s, q, epochs=1, verbose=0)
    target.set_weights(m.get_weights())
