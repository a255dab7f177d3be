library(keras)
FLAGS <- flags(flag_numeric("dropout", 0.4), flag_integer("units", 128))
model <- keras_model_sequential()
model %>%
  layer_dense(units = FLAGS$units, activation = "relu", input_shape = 784) %>%
  layer_dropout(FLAGS$dropout) %>%
  layer_dense(units = 10, activation = "softmax")
model %>% compile(loss = "categorical_crossentropy", optimizer = optimizer_rmsprop(), metrics = "accuracy")
model %>% fit(x_train, y_train, epochs = 20, validation_split = 0.2,
  callbacks = list(callback_early_stopping(patience = 2), callback_model_checkpoint("m.h5")))
score <- model %>% evaluate(x_test, y_test)
runs <- tfruns::tuning_run("train.R", flags = list(dropout = c(0.2, 0.3), units = c(64, 128)))
