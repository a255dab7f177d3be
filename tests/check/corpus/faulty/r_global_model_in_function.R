library(keras3)

model <- keras_model_sequential(input_shape = 13)
model |>
  layer_dense(64, activation = "relu") |>
  layer_dense(1)

run <- function(lr) {
  model |> compile(optimizer = optimizer_adam(lr), loss = "mse", metrics = "mae")
  model |> fit(x, y, epochs = 20, verbose = 0) # expect: FL002
}

first <- run(1e-2)
second <- run(1e-3)
plot(first)
plot(second)
