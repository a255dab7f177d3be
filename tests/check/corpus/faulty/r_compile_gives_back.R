library(keras3)
model <- keras_model_sequential(input_shape = 4) |> layer_dense(1)
m1 <- model |> compile(optimizer = "adam", loss = "mse")
m2 <- model |> compile(optimizer = "sgd", loss = "mse")  # expect: FL001
h1 <- m1 |> fit(x, y, epochs = 3)
h2 <- m2 |> fit(x, y, epochs = 3)
