# What happens when the package is loaded.

.onLoad <- function(libname, pkgname) {
  # Before Keras: then Keras runs on JAX, unless the user has chosen another backend.
  begin <- function() if (reticulate::py_module_available("fairlane")) fl()
  if (reticulate::py_available()) begin() else setHook("reticulate.onPyInit", begin)
  # pandas 3 has renamed the class of its frames, so that reticulate up to 1.41 leaves them as they are.
  there <- utils::getS3method(
    "py_to_r", "pandas.DataFrame",
    optional = TRUE, envir = asNamespace("reticulate")
  )
  if (is.null(there)) {
    registerS3method("py_to_r", "pandas.DataFrame", as_frame, envir = asNamespace("reticulate"))
  }
}
