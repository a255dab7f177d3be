library(keras3)
model <- keras_model_sequential(input_shape = 3) |> layer_dense(1)
train_with <- function(m, opt) {
  m |> compile(optimizer = opt, loss = "mse")
  m |> fit(x, y, epochs = 3)  # expect: FL002
}
h <- list(adam = train_with(model, "adam"), sgd = train_with(model, "sgd"))
