library(keras)
model <- keras_model_sequential() %>% layer_dense(1, input_shape = 3)
model %>% compile("sgd", "mse")
losses <- replicate(10, {
  model %>% fit(x_train, y_train, epochs = 5, verbose = 0)  # expect: FL003 likely
  evaluate(model, x_test, y_test)[["loss"]]
})
sd(losses)
