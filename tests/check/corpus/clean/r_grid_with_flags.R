library(keras)
grid <- expand.grid(units = c(32, 64), rate = c(0.1, 0.01), stringsAsFactors = FALSE)
build <- function(units, rate) {
  keras_model_sequential() %>%
    layer_dense(units, activation = "relu", input_shape = 10) %>%
    layer_dense(1) %>%
    compile(optimizer = optimizer_adam(learning_rate = rate), loss = "mse")
}
grid$loss <- NA
for (row in seq_len(nrow(grid))) {
  k_clear_session()
  m <- build(grid$units[row], grid$rate[row])
  h <- m %>% fit(x, y, epochs = 5, verbose = 0, validation_split = 0.2)
  grid$loss[row] <- min(h$metrics$val_loss)
  if (grid$loss[row] <= min(grid$loss, na.rm = TRUE)) best <- m
}
best %>% evaluate(x_test, y_test)
