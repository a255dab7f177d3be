library(keras)
model <- keras_model_sequential() %>% layer_dense(1, input_shape = 3)
fit_with <- function(kind) {
  switch(kind,
    slow = {
      model %>% compile(optimizer = optimizer_sgd(0.001), loss = "mse")
      model %>% fit(x, y)
    },
    fast = {
      model %>% compile(optimizer = optimizer_sgd(0.1), loss = "mse")
      model %>% fit(x, y)
    }
  )
}
history <- tryCatch(
  fit_with(commandArgs(TRUE)[1]),
  error = function(e) {
    message("again")
    NULL
  }
)
template <- quote(model %>% fit(x, y))
curves <- furrr::future_map(c(0.1, 0.01), function(rate) {
  net <- keras_model_sequential() %>% layer_dense(1, input_shape = 3)
  net %>% compile(optimizer = optimizer_sgd(rate), loss = "mse")
  net %>% fit(x, y)
})
