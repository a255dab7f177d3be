library(keras)
cross_validate <- function(x, y, model, k = 5) {
  fold_ids <- sample(rep(1:k, length.out = nrow(x)))
  sapply(1:k, function(fold) {
    model %>% fit(x[fold_ids != fold, ], y[fold_ids != fold], epochs = 10, batch_size = 32, verbose = 0)  # expect: FL010 likely
    (model %>% evaluate(x[fold_ids == fold, ], y[fold_ids == fold], verbose = 0))[["loss"]]
  })
}
