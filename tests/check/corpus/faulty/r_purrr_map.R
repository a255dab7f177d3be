library(keras)
library(purrr)

model <- keras_model_sequential() %>%
  layer_lstm(units = 32, input_shape = c(20, 4)) %>%
  layer_dense(units = 1)

train <- function(batch) {
  model %>% compile(loss = "mae", optimizer = "adam")
  model %>% fit(x_train, y_train, batch_size = batch, epochs = 4) # expect: FL003
}

curves <- map_dfr(c(16, 32, 64), ~ as.data.frame(train(.x)), .id = "batch")
