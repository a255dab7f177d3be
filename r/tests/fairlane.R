# The package, with a real Python: run by R CMD check, and by Fairlane's own tests.
library(fairlane)

keras <- reticulate::import("keras")
stopifnot(keras$backend$backend() == "jax") # Fairlane comes first

rows <- order(sin(seq_len(nrow(iris))))
x <- iris[rows, 1:4]
y <- as.integer(iris$Species[rows]) - 1L
build <- function(learning_rate, units = 8L) {
  model <- keras$Sequential(list(
    keras$Input(list(4L)),
    keras$layers$Dense(units, activation = "relu"),
    keras$layers$Dense(3L, activation = "softmax")
  ))
  model$compile(keras$optimizers$SGD(learning_rate), "sparse_categorical_crossentropy", metrics = list("accuracy"))
  model
}
message_of <- function(expr) tryCatch({expr; "none"}, error = conditionMessage, warning = conditionMessage)
has <- function(text, words) grepl(words, text, fixed = TRUE)

# Comparing: a data frame as data, a vector as classes, whole numbers without L.
study <- fl_compare(build, list(learning_rate = c(0.1, 0.01)), x, y,
  seeds = 2, epochs = 3, batch_size = 32, validation_split = 0.2, verbose = 0
)
history <- as.data.frame(study)
stopifnot(is.data.frame(history), nrow(history) == 12, is.numeric(history$val_loss), !anyNA(history))
stopifnot(identical(history$learning_rate, rep(c(0.1, 0.01), each = 6)), history$epoch == rep(0:2, 4))

# The numbers are those of Keras alone, called from R.
keras$utils$set_random_seed(0L)
alone <- build(0.1)
fitted <- alone$fit(data.matrix(x), as.array(y), epochs = 3L, batch_size = 32L, validation_split = 0.2, verbose = 0L)
expected <- unlist(fitted$history$loss)
stopifnot(all.equal(history$loss[history$trial == 0], expected, tolerance = 1e-4))

# A data frame of pandas is a data frame of R.
stopifnot(is.data.frame(study$history), nrow(head(study$history, 4)) == 4)
trials <- as.data.frame(study, what = "trials")
stopifnot(trials$state == "done", trials$engine == "lanes", nrow(trials) == 4)
long <- as.data.frame(study, what = "long")
stopifnot(all(c("metric", "data", "value") %in% names(long)), nrow(long) == 48)

# Variants one by one, as rows of a data frame and as lists; arguments of fit may vary.
variants <- data.frame(learning_rate = c(0.1, 0.01), units = c(4L, 8L), epochs = c(1, 2))
rows_study <- fl_compare(build, variants, x, y, verbose = 0)
trials <- as.data.frame(rows_study, what = "trials")
stopifnot(trials$epochs == 1:2, trials$units == c(4, 8))
lists <- fl_compare(build, list(list(learning_rate = 0.1), list(learning_rate = 0.01)), x, y, verbose = 0)
stopifnot(nrow(as.data.frame(lists, what = "trials")) == 2)

# A single value, fresh callbacks for each trial, and data beside the training data.
stops <- function() list(keras$callbacks$EarlyStopping(monitor = "loss", patience = 0, min_delta = 10))
stopped <- fl_compare(build, list(learning_rate = 0.1), x, y,
  epochs = 5, callbacks = stops, validation_data = list(x, y), test_data = list(x, y), verbose = 0
)
trials <- as.data.frame(stopped, what = "trials")
stopifnot(trials$epochs == 2, "test_loss" %in% names(trials))

# Printing, summary with a warning of R, and a picture on R's device.
printed <- capture.output(suppressWarnings(print(study)))
stopifnot(has(printed[[1]], "Study: 4 trials"))
stopifnot(has(message_of(summary(study)), "Too few seeds"))
table <- suppressWarnings(summary(study, "val_accuracy"))
stopifnot(is.data.frame(table), nrow(table) == 2, table$seeds == 2)
png(picture <- tempfile())
figure <- suppressWarnings(plot(study))
invisible(dev.off())
stopifnot(length(unique(c(png::readPNG(picture)))) > 100) # there are curves, and no white page

# What can't be is an error in words of R.
stopifnot(has(message_of(fl_compare(build, list(learning_rate = 0.1), x, iris$Species)), "y is a factor"))
stopifnot(has(message_of(fl_compare(build, list(learning_rate = 0.1), iris, y)), "the columns Species of x"))
stopifnot(has(message_of(fl_compare(build, 0.1, x, y)), "variants must be a list"))
stopifnot(has(message_of(fl_compare(build, list(rate = 0.1), x, y)), "rate"))

# A search.
space <- list(learning_rate = fl_float(1e-3, 1e-1, log = TRUE), units = fl_int(4, 16))
found <- fl_search(build, space, x, y, trials = 3, epochs = 2, validation_split = 0.2, verbose = 0)
trials <- as.data.frame(found, what = "trials")
stopifnot(nrow(trials) == 3, all(trials$learning_rate >= 1e-3), all(trials$units %in% 4:16))

# The guard warns in R.
again <- function() {
  model <- build(0.1)
  model$fit(data.matrix(x), as.array(y), verbose = 0L)
  model$compile("sgd", "sparse_categorical_crossentropy")
  model$fit(data.matrix(x), as.array(y), verbose = 0L)
}
stopifnot(has(message_of(fl_guard(again())), "continues from those weights"))

# The checker.
script <- tempfile(fileext = ".R")
writeLines(c(
  "library(keras3)", "model <- keras_model_sequential(input_shape = 4) |> layer_dense(3)",
  "for (lr in c(0.01, 0.001)) {", "  model_copy <- model",
  "  model_copy |> compile(loss = 'mse', optimizer = optimizer_rmsprop(lr))", "  model_copy |> fit(x, y)", "}"
), script)
checked <- fl_check(script)
stopifnot(identical(checked$code, "FL001"), identical(checked$line, 4L), identical(checked$path, script))
stopifnot(has(capture.output(print(checked))[[1]], paste0(script, ":4:3: warning: [FL001]")))
markers <- fl_markers(checked)
stopifnot(markers$type == "warning", markers$line == 4, has(markers$message, "second name"))
stopifnot(nrow(fl_check(script, ignore = "FL001")) == 0, nrow(fl_markers(fl_check(script, ignore = "FL"))) == 0)
stopifnot(has(message_of(fl_check(file.path(tempdir(), "none.R"))), "none.R"))

cat("all of it holds\n")
