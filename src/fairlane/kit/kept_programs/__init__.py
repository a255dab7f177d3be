"""Programs kept between processes: a program compiled once on this machine is loaded by the next run.

- `folder`: where the files are, who may have written them, how much they may take.
- `jax_private`: JAX's private names, for a compilation that asks the folder first.
- `programs`: a lowered program → a compiled one.
"""
