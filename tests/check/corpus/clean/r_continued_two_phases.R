library(keras)
base <- application_resnet50(include_top = FALSE, pooling = "avg")
base$trainable <- FALSE
out <- base$output %>% layer_dense(1, activation = "sigmoid")
model <- keras_model(base$input, out)
model %>% compile(optimizer_adam(1e-3), "binary_crossentropy")
h1 <- model %>% fit(train_gen, epochs = 5)
base$trainable <- TRUE
model %>% compile(optimizer_adam(1e-5), "binary_crossentropy")
h2 <- model %>% fit(train_gen, epochs = 5)
