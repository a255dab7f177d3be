library(keras3)
library(rsample)
library(purrr)
m <- keras_model_sequential(input_shape = 4) |> layer_dense(1)
m |> compile(optimizer = "adam", loss = "mse")
cv <- vfold_cv(d, v = 5)
cv$rmse <- map_dbl(cv$splits, \(s) {
  tr <- training(s)
  m |> fit(as.matrix(tr[, 1:4]), tr$y, epochs = 10, verbose = 0)  # expect: FL010
  te <- testing(s)
  (m |> evaluate(as.matrix(te[, 1:4]), te$y, verbose = 0))$loss
})
