library(keras)
keras_model_sequential() %>%
  layer_dense(4, input_shape = 2) %>%
  layer_dense(1) -> base_model

other <- base_model # expect: FL001
base_model %>% compile(optimizer = "adam", loss = "mse")
h1 <- base_model %>% fit(x, y, epochs = 3)
other %>% compile(optimizer = "sgd", loss = "mse")
h2 <- other %>% fit(x, y, epochs = 3)
