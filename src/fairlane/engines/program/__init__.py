"""Keras's training step of many models → one vectorised, compiled program."""
