# A study, as R's generic functions show it.

# A data frame of pandas as one of R: missing values are NA, and values of several kinds stay a list.
as_frame <- function(frame) {
  if (is.data.frame(frame)) {
    return(frame) # reticulate has converted it
  }
  columns <- frame$to_dict("list")
  columns <- lapply(if (is_python(columns)) reticulate::py_to_r(columns) else columns, as_column)
  structure(columns, class = "data.frame", row.names = seq_len(reticulate::py_len(frame)))
}

as_column <- function(values) {
  if (!is.list(values)) {
    return(as.vector(values))
  }
  if (length(values) == 0) {
    return(logical(0))
  }
  values <- lapply(values, function(value) if (is.null(value)) NA else value)
  is_single <- vapply(values, function(value) is.atomic(value) && length(value) == 1, logical(1))
  if (all(is_single)) as.vector(unlist(values)) else I(values)
}

print.fairlane.results.study.study.Study <- function(x, ...) {
  cat(warned(reticulate::py_str(x)), "\n", sep = "")
  invisible(x)
}

summary.fairlane.results.study.study.Study <- function(object, metric = NULL, ...) {
  as_frame(warned(object$summary(metric, ...)))
}

as.data.frame.fairlane.results.study.study.Study <- function(
    x, row.names = NULL, optional = FALSE, what = c("history", "long", "trials", "summary"), ...) {
  frame <- switch(match.arg(what),
    history = as_frame(x$history),
    long = as_frame(x$to_frame(long = TRUE)),
    trials = as_frame(x$trials),
    summary = summary(x, ...)
  )
  if (!is.null(row.names)) row.names(frame) <- row.names
  frame
}

plot.fairlane.results.study.study.Study <- function(x, kind = "curves", ..., dpi = 150) {
  figure <- warned(x$plot(kind, ...))
  file <- tempfile(fileext = ".png")
  on.exit(unlink(file))
  figure$savefig(file, dpi = dpi)
  picture <- png::readPNG(file)
  grid::grid.newpage()
  device <- grDevices::dev.size()
  wide <- ncol(picture) / nrow(picture) > device[[1]] / device[[2]]
  whole_side <- grid::unit(1, "npc") # the other side follows from the picture's proportions
  grid::grid.raster(picture, width = if (wide) whole_side, height = if (!wide) whole_side)
  invisible(figure)
}
