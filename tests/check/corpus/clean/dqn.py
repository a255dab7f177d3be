import collections
import random

import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from keras.optimizers import Adam


class Agent:
    def __init__(self, state_size, action_size):
        self.memory = collections.deque(maxlen=2000)
        self.gamma, self.epsilon = 0.95, 1.0
        self.state_size, self.action_size = state_size, action_size
        self.model = self._build_model()
        self.target_model = self._build_model()
        self.update_target_model()

    def _build_model(self):
        model = Sequential()
        model.add(Dense(24, input_dim=self.state_size, activation="relu"))
        model.add(Dense(self.action_size, activation="linear"))
        model.compile(loss="mse", optimizer=Adam(learning_rate=0.001))
        return model

    def update_target_model(self):
        self.target_model.set_weights(self.model.get_weights())

    def replay(self, batch_size):
        for state, action, reward, next_state, done in random.sample(self.memory, batch_size):
            target = self.model.predict(state)
            target[0][action] = reward if done else reward + self.gamma * np.amax(self.target_model.predict(next_state)[0])
            self.model.fit(state, target, epochs=1, verbose=0)


agent = Agent(4, 2)
for episode in range(1000):
    agent.replay(32)
    if episode % 10 == 0:
        agent.update_target_model()
