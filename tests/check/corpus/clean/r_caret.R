library(keras)
library(caret)
evaluate_fold <- function(model, train, test) {
  model |> fit(train$x, train$y)
  predict(model, test$x)
}
