library(keras)

stop_early <- callback_early_stopping(monitor = "val_loss", patience = 3)

fit_units <- function(units) {
  m <- keras_model_sequential() %>%
    layer_dense(units, activation = "relu", input_shape = 30) %>%
    layer_dense(1, activation = "sigmoid")
  m %>% compile(optimizer = "rmsprop", loss = "binary_crossentropy")
  m %>% fit(x, y, epochs = 100, validation_split = 0.2, callbacks = list(stop_early)) # expect: FL005 likely
}

h8 <- fit_units(8)
h16 <- fit_units(16)
