# The corrected comparison: two models, defined separately, each handed to the function.
library(keras)
library(tidyverse)

define_model <- function() NULL

model_fast <- keras_model_sequential() %>%
  layer_dense(units = 256, activation = "relu", input_shape = c(784)) %>%
  layer_dropout(rate = 0.4) %>%
  layer_dense(units = 10, activation = "softmax")

model_slow <- keras_model_sequential() %>%
  layer_dense(units = 256, activation = "relu", input_shape = c(784)) %>%
  layer_dropout(rate = 0.4) %>%
  layer_dense(units = 10, activation = "softmax")

train_model <- function(model, learning_rate) {
  model %>% compile(
    loss = "categorical_crossentropy",
    optimizer = optimizer_rmsprop(learning_rate = learning_rate),
    metrics = c("accuracy")
  )
  history <- model %>% fit(x_train, y_train, epochs = 30, batch_size = 128, validation_split = 0.2)
  return(as.data.frame(history) %>% mutate(rate = learning_rate))
}

fast <- train_model(model_fast, 0.001)
slow <- train_model(model_slow, 0.0001)
ggplot(bind_rows(fast, slow), aes(epoch, value, colour = factor(rate))) + geom_line()
