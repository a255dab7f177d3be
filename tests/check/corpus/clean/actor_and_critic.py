import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
actor = keras.Sequential([keras.layers.Dense(2)])
critic = keras.Sequential([keras.layers.Dense(1)])
actor.compile("adam", "mse"); critic.compile("adam", "mse")
for e in range(100):
    s, a, r = rollout(actor)
    adv = r - critic.predict(s)
    actor.fit(s, adv, epochs=1, verbose=0)
    critic.fit(s, r, epochs=3, verbose=0)
