library(keras3)
library(rsample)
net <- keras_model_sequential(input_shape = 3) |> layer_dense(1)
net |> compile(optimizer = "adam", loss = "mse")
folds <- vfold_cv(frame, v = 5)
scores <- purrr::map_dbl(folds$splits, function(s) {
  train <- analysis(s)
  net |> fit(as.matrix(train[, 1:3]), train$y, epochs = 5) # expect: FL010
  test <- assessment(s)
  evaluate(net, as.matrix(test[, 1:3]), test$y)[["loss"]]
})
