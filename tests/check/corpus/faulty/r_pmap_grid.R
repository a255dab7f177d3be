library(keras)
library(purrr)
base <- keras_model_sequential() %>% layer_dense(4, input_shape = 3) %>% layer_dense(1)
grid <- tidyr::crossing(lr = c(0.1, 0.01), epochs = c(5, 10))
grid$loss <- pmap_dbl(grid, function(lr, epochs) {
  base %>% compile(optimizer = optimizer_sgd(lr), loss = "mse")
  h <- base %>% fit(x, y, epochs = epochs, verbose = 0)  # expect: FL003
  tail(h$metrics$loss, 1)
})
