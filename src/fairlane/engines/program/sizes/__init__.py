"""One program for models of different sizes: their traced steps, padded to the largest."""
