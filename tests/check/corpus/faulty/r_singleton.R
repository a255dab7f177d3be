library(keras3)
.model <- NULL
get_model <- function() {
  if (is.null(.model)) {
    .model <<- keras_model_sequential(input_shape = 4) |> layer_dense(1)
    .model |> compile("adam", "mse")
  }
  .model
}
for (k in 1:5) {
  model <- get_model()
  model |> fit(x[fold != k, ], y[fold != k])  # expect: FL010
  print(evaluate(model, x[fold == k, ], y[fold == k]))
}
