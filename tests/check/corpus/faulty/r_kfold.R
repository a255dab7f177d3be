library(keras)
library(caret)

folds <- createFolds(y, k = 5)
model <- keras_model_sequential() %>%
  layer_dense(16, activation = "relu", input_shape = ncol(x)) %>%
  layer_dense(1, activation = "sigmoid")
model %>% compile(optimizer = "adam", loss = "binary_crossentropy", metrics = "accuracy")

scores <- c()
for (fold in folds) {
  model %>% fit(x[-fold, ], y[-fold], epochs = 10, verbose = 0) # expect: FL010
  result <- model %>% evaluate(x[fold, ], y[fold], verbose = 0)
  scores <- c(scores, result[["accuracy"]])
}
mean(scores)
