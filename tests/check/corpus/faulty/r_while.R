library(keras)
model <- keras_model_sequential() %>% layer_dense(8, input_shape = 5) %>% layer_dense(1)
model %>% compile("adam", "mse")
k <- 5
i <- 1
err <- rep(NA, k)
while (i <= k) {
  test <- which(fold_id == i)
  model %>% fit(X[-test, ], Y[-test], epochs = 30, verbose = 0)  # expect: FL010
  err[i] <- model %>% evaluate(X[test, ], Y[test], verbose = 0)
  i <- i + 1
}
