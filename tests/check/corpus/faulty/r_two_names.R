library(keras)
model <- keras_model_sequential() %>% layer_dense(units=1, input_shape=c(3))
model2 <- model  # expect: FL001
model %>% compile(optimizer="adam", loss="mse")
model2 %>% compile(optimizer="sgd", loss="mse")
hist1 <- model %>% fit(x, y, epochs=5)
hist2 <- model2 %>% fit(x, y, epochs=5)
