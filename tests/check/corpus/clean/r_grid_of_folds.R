library(keras3)
set.seed(1)
folds <- sample(rep(1:5, 20))
build <- function(units) {
  keras_model_sequential(input_shape = 4) |> layer_dense(units) |> layer_dense(1)
}
for (u in c(8, 16)) for (k in 1:5) {
  m <- build(u)
  m |> compile(optimizer = "adam", loss = "mse")
  m |> fit(x[folds != k, ], y[folds != k], epochs = 3)
  print(m |> evaluate(x[folds == k, ], y[folds == k]))
}
