library(keras)
model <- keras_model_sequential() %>% layer_dense(1, input_shape = 4)
model %>% compile(optimizer = "adam", loss = "mse")
for (i in 1:50) {
  model %>% fit(x, y, epochs = 1, batch_size = 1, shuffle = FALSE)
  model %>% reset_states()
  cat("Epoch: ", i, "\n")
}
pred <- model %>% predict(x)
