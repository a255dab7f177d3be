# Comparing and searching: Fairlane's functions, called with values of R.

fl <- function() reticulate::import("fairlane")

fl_compare <- function(model, variants, x = NULL, y = NULL, ...) {
  called(
    fl()$compare, as_function(model), as_variants(variants), as_data(x, "x"), as_data(y, "y"),
    as_arguments(list(...))
  )
}

fl_search <- function(model, space, x = NULL, y = NULL, ...) {
  if (!is.list(space) || is.null(names(space))) {
    stop("space must be a list with names, such as list(learning_rate = fl_float(1e-4, 1e-1, log = TRUE))",
      call. = FALSE
    )
  }
  values <- lapply(space, function(value) if (is_python(value)) value else as.list(value))
  called(fl()$search, as_function(model), values, as_data(x, "x"), as_data(y, "y"), as_arguments(list(...)))
}

fl_float <- function(low, high, log = FALSE, step = NULL) fl()$Float(low, high, log = log, step = step)

fl_int <- function(low, high, log = FALSE, step = NULL) {
  fl()$Int(whole(low), whole(high), log = log, step = whole(step))
}

called <- function(what, model, choices, x, y, arguments) {
  warned(do.call(what, c(list(model, choices, x, y), arguments)))
}
