library(keras)
library(purrr)
model <- keras_model_sequential() %>% layer_dense(1, input_shape = 4)
models <- list(model, model, model)
scores <- map2_dbl(models, folds$splits, function(m, s) {
  m %>% compile("adam", "mse")
  m %>% fit(as.matrix(analysis(s)), analysis(s)$y)  # expect: FL010
  evaluate(m, as.matrix(assessment(s)), assessment(s)$y)[[1]]
})
