library(keras)
define <- function() {
  m <- keras_model_sequential()
  m %>% layer_dense(units = 3, input_shape = 3) %>% layer_dense(1)
  return(m)
}
m <- define()
cv <- function(k) {
  idx <- split(sample(nrow(x)), rep(1:k, length.out = nrow(x)))
  for (f in seq_along(idx)) {
    m %>% compile(loss = "mse", optimizer = "adam")
    m %>% fit(x[-idx[[f]], ], y[-idx[[f]]])  # expect: FL003
  }
}
cv(5)
