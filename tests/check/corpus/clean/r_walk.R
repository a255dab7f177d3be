library(keras)
library(purrr)
specs <- list(
  list(units = 8, act = "relu"),
  list(units = 16, act = "tanh")
)
walk(specs, function(s) {
  set_random_seed(1)
  net <- keras_model_sequential() %>%
    layer_dense(s$units, activation = s$act, input_shape = 4) %>%
    layer_dense(1)
  net %>% compile(loss = "mse", optimizer = optimizer_adam())
  net %>% fit(x, y, epochs = 2, verbose = 0) %>% plot()
  net %>% save_model_hdf5(paste0("net_", s$units, ".h5"))
})
nets <- map(specs, ~ load_model_hdf5(paste0("net_", .x$units, ".h5")))
errors <- map_dbl(nets, ~ evaluate(.x, x, y)[["loss"]])
walk(nets, ~ { .x %>% compile(loss = "mae", optimizer = "sgd"); .x %>% fit(x, y) })
