library(keras)
library(caret)
model <- keras_model_sequential() %>% layer_dense(1, input_shape = 4)
model %>% compile(optimizer = "adam", loss = "mse")
for (test in createFolds(y, k = 5)) {
  model %>% fit(x[-test, ], y[-test], epochs = 10)  # expect: FL010
  print(model %>% evaluate(x[test, ], y[test]))
}
