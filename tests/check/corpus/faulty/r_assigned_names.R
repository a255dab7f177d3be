library(keras)
m0 <- keras_model_sequential() %>% layer_dense(4, input_shape = 2) %>% layer_dense(1)
for (b in c(8, 16, 32)) {
  name <- paste0("model_", b)
  assign(name, m0)
  m0 %>% compile("adam", "mse")
  hist <- m0 %>% fit(x, y, batch_size = b, epochs = 5, verbose = 0)  # expect: FL003
  cat(name, tail(hist$metrics$loss, 1), "\n")
}
