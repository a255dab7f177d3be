library(keras)
library(foreach)
net <- keras_model_sequential() %>% layer_dense(1, input_shape = 4)
res <- foreach(lr = c(0.1, 0.01), .combine = c) %do% {
  net %>% compile(optimizer_adam(lr), "mse")
  h <- net %>% fit(x, y, epochs = 5, validation_split = 0.2)  # expect: FL003
  min(h$metrics$val_loss)
}
