library(keras)
original <- keras_model_sequential() %>% layer_dense(1, input_shape = 4)
runs <- lapply(c("adam", "sgd"), function(opt) {
  copy <- original  # expect: FL001
  copy %>% compile(optimizer = opt, loss = "mse")
  copy %>% fit(x, y, epochs = 5)
})
