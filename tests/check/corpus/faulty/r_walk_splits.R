library(keras)
library(purrr)
results <- list()
net <- keras_model_sequential() %>% layer_dense(1, input_shape = 4)
net %>% compile("adam", "mse")
walk(1:10, ~ {
  idx <- sample(nrow(x), 0.8 * nrow(x))
  net %>% fit(x[idx, ], y[idx], epochs = 5, verbose = 0)  # expect: FL010
  results[[.x]] <<- net %>% evaluate(x[-idx, ], y[-idx], verbose = 0)
})
