library(keras3)
model <- keras_model_sequential(input_shape = 3) |> layer_dense(4) |> layer_dense(1)
initial <- get_weights(model)
for (lr in c(0.1, 0.01)) {
  set_weights(model, initial)
  model |> compile(optimizer = optimizer_adam(lr), loss = "mse")
  model |> fit(x, y, epochs = 10)
}
