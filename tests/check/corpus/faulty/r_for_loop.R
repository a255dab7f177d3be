library(keras)

net <- keras_model_sequential()
net %>%
  layer_conv_2d(32, c(3, 3), activation = "relu", input_shape = c(28, 28, 1)) %>%
  layer_max_pooling_2d(c(2, 2)) %>%
  layer_flatten() %>%
  layer_dense(10, activation = "softmax")

rates <- c(0.1, 0.01, 0.001)
histories <- list()
for (i in seq_along(rates)) {
  net %>% compile(
    optimizer = optimizer_sgd(lr = rates[i]),
    loss = "sparse_categorical_crossentropy",
    metrics = "accuracy"
  )
  histories[[i]] <- net %>% fit(x_train, y_train, epochs = 5) # expect: FL003
}
