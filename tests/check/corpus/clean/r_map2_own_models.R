library(keras)
models <- lapply(1:3, function(i) keras_model_sequential() %>% layer_dense(1, input_shape = 4))
scores <- purrr::map2_dbl(models, folds$splits, function(m, s) {
  m %>% compile("adam", "mse")
  m %>% fit(as.matrix(analysis(s)), analysis(s)$y)
  evaluate(m, as.matrix(assessment(s)), assessment(s)$y)[[1]]
})
