library(keras3)
net <- keras_model_sequential(input_shape = 3) |> layer_dense(1)
net |> compile(optimizer = "adam", loss = "mse")
out <- list()
for (b in c(16, 64)) {
  h <- net |> fit(x, y, batch_size = b, epochs = 5) # expect: FL003 likely
  out[[as.character(b)]] <- h
}
