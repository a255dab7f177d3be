# Fairlane from R, through reticulate: two learning rates on R's own iris data,
# three seeds each.
library(reticulate)

fl <- import("fairlane") # before Keras, so that Keras runs on JAX
keras <- import("keras")

# A data frame of pandas as one of R.
as_r <- function(frame) as.data.frame(frame$to_dict("list"), check.names = FALSE)

# A matrix becomes an array of NumPy; as.array() makes one of a vector, which would
# become a list. The rows are mixed, since validation_split takes the last ones.
order <- order(sin(seq_len(nrow(iris))))
x <- scale(as.matrix(iris[order, 1:4]))
y <- as.array(as.integer(iris$Species[order]) - 1L)

# The builder is a function of R. py_func() keeps the names of its arguments, which
# are the hyperparameters.
build <- py_func(function(learning_rate) {
  model <- keras$Sequential(list(
    keras$Input(list(4L)),
    keras$layers$Dense(16L, activation = "relu"),
    keras$layers$Dense(3L, activation = "softmax")
  ))
  model$compile(
    optimizer = keras$optimizers$RMSprop(learning_rate),
    loss = "sparse_categorical_crossentropy",
    metrics = list("accuracy")
  )
  model
})

# Fresh callbacks for each trial: a function, as in Python.
callbacks <- py_func(function() {
  list(keras$callbacks$EarlyStopping(patience = 20L))
})

study <- fl$compare(
  build, list(learning_rate = c(1e-2, 1e-3)), x, y,
  seeds = 3L, epochs = 40L, validation_split = 0.2, callbacks = callbacks,
  verbose = 0L
)

trials <- as_r(study$trials)
print(trials[, c("trial", "learning_rate", "seed", "state", "engine", "epochs")])

history <- as_r(study$history)
print(aggregate(val_loss ~ learning_rate, history, min))

# The best trial's trained model of Keras. An array of NumPy comes back as a matrix.
model <- study$model(study$best("val_loss"))
predicted <- max.col(model$predict(x, verbose = 0L))
print(table(predicted, species = iris$Species[order]))

# A compiled model as a template. list(1e-3) is a list in Python; c(1e-3) would be a
# number.
template <- build(learning_rate = 1e-3)
variants <- list("optimizer.learning_rate" = list(1e-3))
again <- fl$compare(template, variants, x, y, epochs = 2L, verbose = 0L)
print(as_r(again$trials)$state)

study$report("report.html")
