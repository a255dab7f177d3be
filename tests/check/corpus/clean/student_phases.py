import numpy as np
import keras
x, y = np.zeros((60, 4)), np.zeros((60, 1))
teacher = keras.Sequential([keras.layers.Dense(9), keras.layers.Dense(1)])
teacher.compile("adam", "mse"); teacher.fit(x, y, epochs=5)
student = keras.Sequential([keras.layers.Dense(2), keras.layers.Dense(1)])
student.compile("adam", "mse"); student.fit(x, teacher.predict(x), epochs=5)
student.compile("sgd", "mse"); student.fit(x, y, epochs=5)
