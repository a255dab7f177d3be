library(keras3)
model <- keras_model_sequential(input_shape = 5) |> layer_dense(1)
for (loss in c("mse", "mae")) {
  model$compile(optimizer = "adam", loss = loss)
  model$fit(x, y, epochs = 3L) # expect: FL003
}
