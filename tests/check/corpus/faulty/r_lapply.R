library(keras3)
inputs <- layer_input(shape = c(10))
outputs <- inputs |>
  layer_dense(32, activation = "relu") |>
  layer_dense(1)
model <- keras_model(inputs, outputs)

results <- lapply(c("adam", "rmsprop", "sgd"), function(name) {
  compile(model, optimizer = name, loss = "mse")
  history <- fit(model, x, y, epochs = 10, verbose = 0) # expect: FL003
  tail(history$metrics$loss, 1)
})
names(results) <- c("adam", "rmsprop", "sgd")
print(results)
