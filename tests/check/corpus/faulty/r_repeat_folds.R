library(keras)
model <- keras_model_sequential() %>% layer_dense(1, input_shape = 4)
model %>% compile("adam", "mse")
k <- 1
repeat {
  test <- folds[[k]]
  model %>% fit(x[-test, ], y[-test], epochs = 3)  # expect: FL010
  err[k] <- model %>% evaluate(x[test, ], y[test])
  k <- k + 1
  if (k > 5) break
}
