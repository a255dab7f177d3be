import keras
model = keras.Sequential([keras.layers.Dense(1)])
best = None
for units in range(3):
    try:
        model.compile("adam", "mse")
        model.fit(x, y)  # expect: FL003
    except ValueError as e:
        print(e)
        continue
    score = model.evaluate(x, y)
    if best is None or score < best:
        best = score
        model.save("best.keras")
