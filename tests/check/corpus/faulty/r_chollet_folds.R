library(keras)
build_model <- function() {
  model <- keras_model_sequential() %>% layer_dense(units = 64, input_shape = 4) %>% layer_dense(units = 1)
  model %>% compile(optimizer = "rmsprop", loss = "mse")
}
model <- build_model()
k <- 4
indices <- sample(1:nrow(x))
folds <- cut(indices, breaks = k, labels = FALSE)
all_scores <- c()
for (i in 1:k) {
  val_indices <- which(folds == i, arr.ind = TRUE)
  partial <- x[-val_indices, ]
  model %>% fit(partial, y[-val_indices], epochs = 100, verbose = 0)  # expect: FL010
  results <- model %>% evaluate(x[val_indices, ], y[val_indices], verbose = 0)
  all_scores <- c(all_scores, results$mae)
}
