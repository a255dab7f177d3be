"""The lanes engine: many trials at once, in one vectorised program per fleet."""
