# Fairlane's warnings, as warnings of R.

# The value of an expression; what Fairlane warns of meanwhile is warned of in R, and other warnings of Python
# are shown as Python shows them.
warned <- function(expr) {
  python <- reticulate::import("warnings", convert = FALSE)
  recording <- python$catch_warnings(record = TRUE)
  log <- recording$`__enter__`()
  left <- FALSE
  leave <- function() {
    if (!left) recording$`__exit__`(NULL, NULL, NULL)
    left <<- TRUE
    reticulate::py_to_r(reticulate::import_builtins(convert = FALSE)$list(log))
  }
  on.exit(leave())
  value <- force(expr)
  for (one in leave()) {
    if (inherits(one$message, "fairlane.errors.FairlaneWarning")) {
      warning(reticulate::py_str(one$message), call. = FALSE)
    } else {
      python$showwarning(one$message, one$category, one$filename, one$lineno)
    }
  }
  value
}

fl_guard <- function(expr) {
  guard <- fl()$guard()
  warned({
    guard$`__enter__`()
    tryCatch(force(expr), finally = guard$`__exit__`(NULL, NULL, NULL))
  })
}
