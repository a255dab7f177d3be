"""Hides an installed TensorFlow from the workers that run on another backend."""

raise ImportError("TensorFlow is hidden from this worker")
