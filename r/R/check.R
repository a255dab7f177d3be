# The checker: what `fairlane check` finds in scripts, as a data frame, and in RStudio's pane of markers.

fl_check <- function(path = ".", select = NULL, ignore = NULL) {
  arguments <- c("-m", "fairlane", "check", "--format", "json", "--exit-zero")
  if (length(select)) arguments <- c(arguments, "--select", paste(select, collapse = ","))
  if (length(ignore)) arguments <- c(arguments, "--ignore", paste(ignore, collapse = ","))
  errors <- tempfile()
  on.exit(unlink(errors))
  lines <- suppressWarnings(system2(
    reticulate::py_exe(), shQuote(c(arguments, path.expand(path))),
    stdout = TRUE, stderr = errors
  ))
  if (!is.null(attr(lines, "status"))) {
    stop("fairlane check could not run: ", paste(readLines(errors), collapse = "\n"), call. = FALSE)
  }
  report <- jsonlite::fromJSON(paste(lines, collapse = "\n"), simplifyVector = FALSE)
  for (failure in report$failures) {
    warning(failure$path, " was not checked: ", failure$message, call. = FALSE)
  }
  found <- found_in(report)
  if (rstudio_is_here()) {
    rstudioapi::sourceMarkers("fairlane", fl_markers(found), autoSelect = "none")
  }
  found
}

found_in <- function(report) {
  column <- function(name, type) vapply(report$findings, function(one) one[[name]], type)
  structure(
    data.frame(
      path = column("path", ""), line = column("line", 0L), column = column("column", 0L),
      code = column("code", ""), confidence = column("confidence", ""), message = column("message", ""),
      fix = column("fix", "")
    ),
    class = c("fl_check", "data.frame"), checked = report$checked
  )
}

rstudio_is_here <- function() {
  interactive() && requireNamespace("rstudioapi", quietly = TRUE) && rstudioapi::isAvailable("0.99.1111")
}

fl_markers <- function(found) {
  data.frame(
    type = ifelse(found$confidence == "certain", "warning", "info"), file = normalizePath(found$path),
    line = found$line, column = found$column, message = paste(found$code, found$message)
  )
}

print.fl_check <- function(x, ...) {
  for (i in seq_len(nrow(x))) {
    cat(sprintf(
      "%s:%d:%d: %s: [%s] %s; %s\n", x$path[i], x$line[i], x$column[i],
      if (x$confidence[i] == "certain") "warning" else "note", x$code[i], x$message[i], x$fix[i]
    ))
  }
  files <- attr(x, "checked")
  if (!is.null(files)) cat(sprintf("findings: %d, files checked: %d\n", nrow(x), files))
  invisible(x)
}
