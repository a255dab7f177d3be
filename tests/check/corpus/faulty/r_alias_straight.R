library(keras)
m <- keras_model_sequential() %>% layer_dense(1, input_shape = 4)
m2 <- m  # expect: FL001
m %>% compile(optimizer = "adam", loss = "mse")
m2 %>% compile(optimizer = "sgd", loss = "mse")
h1 <- m %>% fit(x, y, epochs = 10)
h2 <- m2 %>% fit(x, y, epochs = 10)
