library(keras)
network <- function() {
  net <- keras_model_sequential() %>% layer_dense(units = 9, input_shape = 3) %>% layer_dense(units = 1)
  net %>% compile(optimizer = "sgd", loss = "mae")
}
net <- network()
group <- cut(sample(nrow(x)), breaks = 3, labels = FALSE)
errors <- c()
for (g in 1:3) {
  out <- which(group == g)
  inside <- x[-out, ]
  net %>% fit(inside, y[-out], epochs = 7, verbose = 0)  # expect: FL010
  error <- net %>% evaluate(x[out, ], y[out], verbose = 0)
  errors <- c(errors, error)
}
