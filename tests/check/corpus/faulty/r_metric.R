library(keras3)
auc <- metric_auc(name = "auc")
one <- keras_model_sequential(input_shape = 5) |> layer_dense(1, activation = "sigmoid")
two <- keras_model_sequential(input_shape = 5) |> layer_dense(8) |> layer_dense(1, activation = "sigmoid")
one |> compile(optimizer = "adam", loss = "binary_crossentropy", metrics = list(auc))
two |> compile(optimizer = "adam", loss = "binary_crossentropy", metrics = list(auc)) # expect: FL006
one |> fit(x, y, epochs = 3)
two |> fit(x, y, epochs = 3)
