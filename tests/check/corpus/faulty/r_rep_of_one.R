library(keras)
build <- function() keras_model_sequential() %>% layer_dense(1, input_shape = 4)
models <- rep(list(build()), 3)
for (i in 1:3) {
  models[[i]] %>% compile(optimizer_sgd(rates[i]), "mse")
  models[[i]] %>% fit(x, y, epochs = 3)  # expect: FL003
}
