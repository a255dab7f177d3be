# Values of R -> values that Python functions take.
#
# In: what a user of R writes. Out: what Fairlane and Keras expect. reticulate converts the rest.

# Arguments that are whole numbers in Python, where R writes 5 for 5.0.
WHOLE <- c(
  "seeds", "epochs", "batch_size", "verbose", "cv", "trials", "confirm", "width", "rng", "workers",
  "initial_epoch", "steps_per_epoch", "validation_steps", "validation_batch_size", "validation_freq"
)

is_python <- function(value) inherits(value, "python.builtin.object")

# Whole numbers as integers, the rest as it is.
whole <- function(value) {
  if (is.list(value)) {
    return(lapply(value, whole))
  }
  is_whole <- is.double(value) && all(is.finite(value)) && all(value == round(value)) &&
    all(abs(value) <= .Machine$integer.max)
  if (is_whole) as.integer(value) else value
}

# A matrix, an array, a vector or a data frame of numbers, as an array of NumPy; several of them in a list.
as_data <- function(value, name) {
  if (is.null(value) || is_python(value)) {
    return(value)
  }
  if (is.factor(value)) {
    stop(name, " is a factor: give the classes' numbers from 0, as.integer(", name, ") - 1L", call. = FALSE)
  }
  if (is.data.frame(value)) {
    numbers <- vapply(value, function(column) is.numeric(column) || is.logical(column), logical(1))
    if (!all(numbers)) {
      stop(
        "the columns ", paste(names(value)[!numbers], collapse = ", "), " of ", name, " are not numbers: ",
        "leave them out, or make numbers of them (model.matrix)",
        call. = FALSE
      )
    }
    return(data.matrix(value))
  }
  if (is.list(value)) {
    return(lapply(value, as_data, name))
  }
  if (is.null(dim(value))) as.array(value) else value
}

# A function of R with the names of its arguments, which Python needs.
as_function <- function(value) {
  if (is.function(value) && !is_python(value)) reticulate::py_func(value) else value
}

# Variants as a dict of lists (every combination), or as a list of dicts (one by one).
as_variants <- function(variants) {
  one <- function(name, value) if (name %in% WHOLE) whole(value) else value
  as_dict <- function(values) Map(one, names(values), values)
  if (is.data.frame(variants)) {
    plain <- lapply(variants, function(column) if (is.factor(column)) as.character(column) else column)
    rows <- seq_len(nrow(variants))
    return(lapply(rows, function(row) as_dict(lapply(plain, function(column) column[[row]]))))
  }
  if (!is.list(variants) || is_python(variants)) {
    stop(
      "variants must be a list such as list(learning_rate = c(1e-2, 1e-3)), a data frame with a row per ",
      "variant, or a list of lists",
      call. = FALSE
    )
  }
  if (is.null(names(variants))) {
    return(lapply(variants, as_dict))
  }
  as_dict(lapply(variants, as.list)) # a single value would become a number
}

# The arguments after the data, each as Python takes it.
as_arguments <- function(arguments) {
  converted <- Map(as_argument, names(arguments), arguments)
  names(converted) <- names(arguments)
  converted
}

as_argument <- function(name, value) {
  if (name %in% c("validation_data", "test_data") && is.list(value) && !is_python(value)) {
    return(do.call(reticulate::tuple, unname(lapply(value, as_data, name))))
  }
  if (name == "confirm" && length(value) == 2) {
    return(do.call(reticulate::tuple, as.list(whole(value))))
  }
  if (name %in% WHOLE) {
    return(whole(value))
  }
  if (name %in% c("sample_weight", "groups")) {
    return(as_data(value, name))
  }
  as_function(value)
}
