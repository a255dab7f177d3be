library(keras3)
init <- initializer_random_normal(stddev = 0.02)
model <- keras_model_sequential(input_shape = 100)
model |>
  layer_dense(128, kernel_initializer = init, activation = "relu") |>
  layer_dense(128, kernel_initializer = init, activation = "relu") |> # expect: FL007
  layer_dense(1)
model |> compile(optimizer = "adam", loss = "mse")
model |> fit(x, y)
