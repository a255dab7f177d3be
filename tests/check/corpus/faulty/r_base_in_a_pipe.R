library(keras)
base <- keras_model_sequential() %>% layer_dense(32, activation = "relu", input_shape = 10)
for (rate in c(0.1, 0.3, 0.5)) {
  net <- keras_model_sequential() %>% base %>% layer_dropout(rate) %>% layer_dense(1)  # expect: FL008
  net %>% compile("adam", "mse")
  h <- net %>% fit(x, y, epochs = 10, validation_split = 0.2)
  cat(rate, min(h$metrics$val_loss), "\n")
}
