import random
from collections import deque
import numpy as np
import keras
class Agent:
    def __init__(self):
        self.memory = deque(maxlen=100)
        self.model = self.build()
        self.target = self.build()
        self.gamma = 0.9
    def build(self):
        m = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dense(2)])
        m.compile("adam", "mse")
        return m
    def replay(self, n):
        for s, a, r, s2, done in random.sample(self.memory, n):
            t = self.model.predict(s, verbose=0)
            t[0][a] = r if done else r + self.gamma * np.amax(self.target.predict(s2, verbose=0)[0])
            self.model.fit(s, t, epochs=1, verbose=0)
    def sync(self):
        self.target.set_weights(self.model.get_weights())
agent = Agent()
for ep in range(2):
    for _ in range(3):
        agent.memory.append((np.zeros((1, 4)), 0, 1.0, np.ones((1, 4)), False))
    agent.replay(2)
    agent.sync()
