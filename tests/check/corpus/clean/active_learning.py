import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
# active learning
m = keras.Sequential([keras.layers.Dense(1)])
m.compile("sgd", "mse")
labeled, pool = x[:10], x[10:]
for query in range(5):
    idx = np.argmax(m.predict(pool))
    labeled = np.concatenate([labeled, pool[idx:idx + 1]])
    pool = np.delete(pool, idx, axis=0)
    m.fit(labeled, labeled, epochs=5)
    print(m.evaluate(x, y))
