library(keras)
model <- keras_model_sequential() %>% layer_dense(1, input_shape = 2)
model %>% compile(optimizer = "adam", loss = "mse")
for (epoch in 1:20) {
  model %>% fit(x, y, epochs = 1, verbose = 0)
  p <- model %>% predict(x_test)
  plot(p, y_test, main = epoch)
}
