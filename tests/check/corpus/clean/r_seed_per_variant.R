library(keras3)
fit_one <- function(units, seed = 1) {
  set_random_seed(seed)
  model <- keras_model_sequential(input_shape = 3)
  model |> layer_dense(units, kernel_initializer = initializer_he_normal()) |> layer_dense(1)
  model |> compile(optimizer = optimizer_adam(), loss = "mse", metrics = list(metric_mean_absolute_error()))
  model |> fit(x, y, epochs = 3, callbacks = list(callback_reduce_lr_on_plateau()))
}
res <- purrr::map(c(8, 16), fit_one)
res2 <- sapply(c(8, 16), \(u) fit_one(u)$metrics$loss[3])
