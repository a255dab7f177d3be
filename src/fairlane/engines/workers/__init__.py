"""The lanes engine in a worker process, for sessions on another backend than JAX."""
