library(keras3)
library(rsample)
net <- keras_model_sequential(input_shape = 3) |> layer_dense(1)
net |> compile(optimizer = "adam", loss = "mse")
acc <- c()
for (i in 1:10) {
  parts <- initial_split(frame)
  train <- training(parts)
  net |> fit(as.matrix(train[-1]), train[[1]], epochs = 10) # expect: FL010
  test <- testing(parts)
  acc <- c(acc, evaluate(net, as.matrix(test[-1]), test[[1]])$loss)
}
