library(keras3)
kreuz <- function(netz, daten, ziel, k = 4) {
  teile <- sample(rep(1:k, length.out = nrow(daten)))
  for (i in 1:k) {
    drin <- teile != i
    netz |> fit(daten[drin, ], ziel[drin], epochs = 10) # expect: FL010 likely
    print(netz |> evaluate(daten[!drin, ], ziel[!drin]))
  }
}
