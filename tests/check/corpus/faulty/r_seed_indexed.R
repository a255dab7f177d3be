library(keras3)
rates <- c(0.1, 0.01, 0.001)
set_random_seed(1) # expect: FL009 likely
losses <- numeric(length(rates))
for (i in seq_along(rates)) {
  model <- keras_model_sequential(input_shape = 3) |> layer_dense(8) |> layer_dense(1)
  model |> compile(optimizer = optimizer_adam(rates[i]), loss = "mse")
  history <- model |> fit(x, y, epochs = 3, verbose = 0)
  losses[i] <- tail(history$metrics$loss, 1)
}
