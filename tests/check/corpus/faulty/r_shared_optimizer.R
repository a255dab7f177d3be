library(keras3)
opt <- optimizer_adam(learning_rate = 1e-3)

build <- function(units) {
  model <- keras_model_sequential(input_shape = 8) |>
    layer_dense(units, activation = "relu") |>
    layer_dense(1)
  model |> compile(optimizer = opt, loss = "mse") # expect: FL004
  model
}

small <- build(8)
small |> fit(x, y, epochs = 5)
large <- build(64)
large |> fit(x, y, epochs = 5)
