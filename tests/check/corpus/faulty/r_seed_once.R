library(keras3)
library(tensorflow)

set_random_seed(42) # expect: FL009 likely

build <- function(rate) {
  model <- keras_model_sequential(input_shape = 4) |>
    layer_dense(16, activation = "relu") |>
    layer_dropout(rate) |>
    layer_dense(3, activation = "softmax")
  model |> compile(optimizer = "adam", loss = "sparse_categorical_crossentropy")
  model
}

for (rate in c(0.1, 0.3, 0.5)) {
  model <- build(rate)
  history <- model |> fit(x, y, epochs = 15)
  print(tail(history$metrics$loss, 1))
}
