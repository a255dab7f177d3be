library(keras)
model <- keras_model_sequential()
model %>%
  layer_lstm(units = 50, input_shape = c(1, 1), batch_size = 1, return_sequences = TRUE, stateful = TRUE) %>%
  layer_lstm(units = 50, return_sequences = FALSE, stateful = TRUE) %>%
  layer_dense(units = 1)
model %>% compile(loss = "mse", optimizer = "rmsprop")
for (i in 1:500) {
  model %>% fit(X_train, y_train, batch_size = 1, epochs = 1, verbose = 0, shuffle = FALSE)
  model %>% reset_states()
}
pred_out <- model %>% predict(X_test, batch_size = 1) %>% .[, 1]
plot_ly(x = dates, y = pred_out, type = "scatter", mode = "lines")
