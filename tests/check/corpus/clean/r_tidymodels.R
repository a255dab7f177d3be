library(tidymodels)
spec <- mlp(hidden_units = 5) |> set_engine("keras") |> set_mode("regression")
wf <- workflow() |> add_model(spec) |> add_formula(y ~ .)
for (i in 1:3) {
  fitted <- fit(wf, data = train)
  print(predict(fitted, test))
}
model <- lm(y ~ x, data = d)
compile <- function(m, ...) m
model2 <- model
compile(model2)
fit(model2)
fit(model2)
