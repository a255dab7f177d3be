library(keras3)
template <- keras_model_sequential(input_shape = 4) |> layer_dense(8) |> layer_dense(1)
train <- function(lr) {
  model_copy <- clone_model(template)
  model_copy |> compile(optimizer = optimizer_sgd(lr), loss = "mse")
  model_copy |> fit(x, y, epochs = 5)
}
histories <- lapply(c(0.1, 0.01), train)
