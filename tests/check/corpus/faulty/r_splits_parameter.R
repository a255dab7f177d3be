library(keras3)
evaluate_model <- function(model, splits) {
  for (s in splits) {
    model |> fit(rsample::analysis(s)$x, rsample::analysis(s)$y, epochs = 3)  # expect: FL010 likely
    print(model |> evaluate(rsample::assessment(s)$x, rsample::assessment(s)$y))
  }
}
