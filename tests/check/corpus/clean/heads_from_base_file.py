import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
m = keras.models.load_model("base.keras")
for name in ("task_a", "task_b"):
    head = keras.models.clone_model(m)
    head.set_weights(m.get_weights())
    head.compile("adam", "mse")
    head.fit(*load(name), epochs=3)
    head.save(name + ".keras")
