# Two learning rates on MNIST. The model is defined once, and "copied" in the function.
library(keras)
library(tidyverse)

mnist <- dataset_mnist()
x_train <- array_reshape(mnist$train$x, c(nrow(mnist$train$x), 784)) / 255
y_train <- to_categorical(mnist$train$y, 10)

model <- keras_model_sequential() %>%
  layer_dense(units = 256, activation = "relu", input_shape = c(784)) %>%
  layer_dropout(rate = 0.4) %>%
  layer_dense(units = 128, activation = "relu") %>%
  layer_dropout(rate = 0.3) %>%
  layer_dense(units = 10, activation = "softmax")

train_model <- function(learning_rate) {
  model_copy = model # expect: FL001
  model_copy %>% compile(
    loss = "categorical_crossentropy",
    optimizer = optimizer_rmsprop(learning_rate = learning_rate),
    metrics = c("accuracy")
  )
  history <- model_copy %>% fit(
    x_train, y_train,
    epochs = 30, batch_size = 128,
    validation_split = 0.2
  )
  return(as.data.frame(history) %>% mutate(rate = learning_rate))
}

fast <- train_model(0.001)
slow <- train_model(0.0001)

bind_rows(fast, slow) %>%
  ggplot(aes(epoch, value, colour = factor(rate))) +
  geom_line() +
  facet_grid(metric ~ data)
