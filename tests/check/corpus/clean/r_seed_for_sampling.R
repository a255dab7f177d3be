library(keras3)
set.seed(42)
drin <- sample(nrow(x), 80)
for (n in c(8, 16, 32)) {
  netz <- keras_model_sequential(input_shape = 4) |> layer_dense(n) |> layer_dense(1)
  netz |> compile(optimizer = "adam", loss = "mse")
  netz |> fit(x[drin, ], y[drin], epochs = 5)
}
