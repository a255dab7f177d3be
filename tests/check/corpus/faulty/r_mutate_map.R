library(keras)
library(dplyr)
library(purrr)
library(rsample)
model <- keras_model_sequential() %>% layer_dense(1, input_shape = 4)
model %>% compile(optimizer = "adam", loss = "mse")
fit_fold <- function(split, net) {
  net %>% fit(as.matrix(analysis(split)[, 1:4]), analysis(split)$y, epochs = 3)  # expect: FL010
  net %>% evaluate(as.matrix(assessment(split)[, 1:4]), assessment(split)$y)
}
res <- vfold_cv(d, v = 5) %>% mutate(score = map(splits, fit_fold, net = model))
