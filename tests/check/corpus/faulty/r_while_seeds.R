library(keras)
net <- keras_model_sequential() %>% layer_dense(8, input_shape = 4, activation = "relu") %>% layer_dense(3, activation = "softmax")
net %>% compile("adam", "categorical_crossentropy", metrics = "accuracy")
run <- 1
accs <- c()
while (run <= 5) {
  set.seed(run)
  net %>% fit(xtrain, ytrain, epochs = 20, verbose = 0)  # expect: FL003 likely
  sc <- net %>% evaluate(xtest, ytest, verbose = 0)
  accs[run] <- sc["accuracy"]
  run <- run + 1
}
cat("mean", mean(accs), "sd", sd(accs), "\n")
