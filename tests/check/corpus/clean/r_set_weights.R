library(keras)
w <- get_weights(m)
for (lr in c(0.1, 0.01)) {
  set_weights(m, w)
  m %>% compile(optimizer = optimizer_sgd(lr), loss = "mse")
  h <- m %>% fit(x, y, epochs = 3)
  print(h)
}
