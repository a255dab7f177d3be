"""A traced step → the same numbers from operations that XLA's CPU backend runs fast.

XLA's CPU backend hashes JAX's random bits in a loop of memory passes, and its convolutions and windows are
several times slower inside a loop than outside, and slower still under ``vmap``. As unrolled arithmetic and
matrix products they are fast everywhere. Some sums go to a library that is slow at the arithmetic around
them, which is then computed before. What is not known here stays as it is.
"""

from fairlane.engines.program.rewrite.walk import run_for_cpu, slow_in_loops

__all__ = ["run_for_cpu", "slow_in_loops"]
