library(keras)
generator <- keras_model(gen_in, gen_out)
discriminator_input <- layer_input(shape = c(32, 32, 3))
discriminator_output <- discriminator_input %>%
  layer_conv_2d(filters = 128, kernel_size = 3) %>%
  layer_flatten() %>%
  layer_dense(units = 1, activation = "sigmoid")
discriminator <- keras_model(discriminator_input, discriminator_output)
discriminator %>% compile(optimizer = optimizer_rmsprop(lr = 0.0008), loss = "binary_crossentropy")
freeze_weights(discriminator)
gan_input <- layer_input(shape = c(latent_dim))
gan_output <- discriminator(generator(gan_input))
gan <- keras_model(gan_input, gan_output)
gan %>% compile(optimizer = optimizer_rmsprop(lr = 0.0004), loss = "binary_crossentropy")
for (step in 1:iterations) {
  d_loss <- discriminator %>% train_on_batch(combined_images, labels)
  a_loss <- gan %>% train_on_batch(random_latent_vectors, misleading_targets)
  if (step %% 100 == 0) save_model_weights_hdf5(gan, "gan.h5")
}
