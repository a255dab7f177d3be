library(keras)
m <- keras_model_sequential() %>% layer_dense(1, input_shape = 2)
m %>% compile(optimizer = "adam", loss = "mse")
h <- m %>% fit(x, y, epochs = 10)
# second phase
m %>% compile(optimizer = optimizer_sgd(1e-4), loss = "mse")
h2 <- m %>% fit(x, y, epochs = 10)
