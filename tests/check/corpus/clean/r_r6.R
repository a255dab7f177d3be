library(keras3)
library(R6)

Net <- R6Class("Net",
  public = list(
    model = NULL,
    initialize = function(units) {
      self$model <- keras_model_sequential(input_shape = 4) |>
        layer_dense(units, activation = "relu") |>
        layer_dense(1)
      self$model |> compile(optimizer = "adam", loss = "mse")
    },
    train = function(x, y, ...) {
      self$model |> fit(x, y, ...)
      invisible(self)
    }
  )
)
nets <- lapply(c(8, 16), function(u) Net$new(u)$train(x, y, epochs = 2))
