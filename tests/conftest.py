"""For all tests: Keras on JAX, and one compilation cache, since many train the same small models with Keras alone."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")  # before the first import of keras, whoever does it


@pytest.fixture(scope="session", autouse=True)
def _compile_once(tmp_path_factory):
    import jax

    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("jax")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
