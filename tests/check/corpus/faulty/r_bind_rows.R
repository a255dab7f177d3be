library(keras)
library(dplyr)
model = keras_model_sequential()
model %>% layer_dense(4, input_shape = 2) %>% layer_dense(1)
f = function(lr) {
  model %>% compile(optimizer = optimizer_adam(lr = lr), loss = "mse")
  hist = model %>% fit(x, y, epochs = 3)  # expect: FL002
  tibble(lr = lr, loss = hist$metrics$loss)
}
bind_rows(f(.1), f(.01)) %>% ggplot(aes(lr, loss)) + geom_point()
