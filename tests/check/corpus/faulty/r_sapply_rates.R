library(keras3)
m <- keras_model_sequential(input_shape = 4) |> layer_dense(1)
res <- sapply(c(0.1, 0.01), function(lr) {
  m |> compile(optimizer = optimizer_sgd(learning_rate = lr), loss = "mse")
  h <- m |> fit(x, y, epochs = 5)  # expect: FL003
  tail(h$metrics$loss, 1)
})
