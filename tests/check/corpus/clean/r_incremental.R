library(keras)
library(zoo)
model <- keras_model_sequential() %>% layer_gru(8, input_shape = c(10, 1)) %>% layer_dense(1)
model %>% compile(optimizer = "adam", loss = "mse")
for (day in seq(100, 200)) {
  window <- (day - 99):day
  model %>% fit(x[window, , , drop = FALSE], y[window], epochs = 1, verbose = 0)
  forecast[day + 1] <- predict(model, x[day + 1, , , drop = FALSE])
}
