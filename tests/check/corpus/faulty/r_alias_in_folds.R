library(keras)
modele <- keras_model_sequential() %>% layer_dense(units = 1, input_shape = 3)
modele %>% compile(optimizer = "sgd", loss = "mse")
for (k in seq_len(5)) {
  m <- modele # expect: FL001
  m %>% fit(X[groupe != k, ], Y[groupe != k], epochs = 20, verbose = 0)
  erreur[k] <- m %>% evaluate(X[groupe == k, ], Y[groupe == k], verbose = 0)
}
