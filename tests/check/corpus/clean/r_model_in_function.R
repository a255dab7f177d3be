library(keras)
train_model <- function(learning_rate) {
  model = keras_model_sequential() %>%
    layer_dense(units = 256, activation = "relu", input_shape = c(784)) %>%
    layer_dense(units = 10, activation = "softmax")
  model %>% compile(
    loss = "categorical_crossentropy",
    optimizer = optimizer_rmsprop(learning_rate = learning_rate),
    metrics = "accuracy"
  )
  history = model %>% fit(x_train, y_train, epochs = 30)
  data.frame(history)
}
a = train_model(0.001)
b = train_model(0.0001)
