library(keras)
k_clear_session()
model <- keras_model_sequential() %>% layer_dense(8, input_shape = 4) %>% layer_dense(1)
for (i in 1:4) {
  k_clear_session()
  model %>% compile(optimizer = "rmsprop", loss = "mse", metrics = c("mae"))
  validation <- folds[[i]]
  history <- model %>% fit(x[-validation, ], y[-validation], epochs = 20, validation_data = list(x[validation, ], y[validation]))  # expect: FL010
}
