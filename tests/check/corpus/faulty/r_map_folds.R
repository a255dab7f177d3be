library(keras)
library(purrr)
net <- keras_model_sequential() %>% layer_dense(1, input_shape = 3)
net %>% compile(loss = "mse", optimizer = "adam")
losses <- map(1:4, ~ {
  out <- which(id == .x)
  net %>% fit(x[-out, ], y[-out], epochs = 3) # expect: FL010
  net %>% evaluate(x[out, ], y[out])
})
