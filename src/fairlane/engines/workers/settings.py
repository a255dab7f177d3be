"""A session's settings, for a process that trains for it.

In: Keras's and JAX's settings here. Out: a plain value; and on the other side the same settings. The folder,
``sys.path`` and custom objects go separately.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from fairlane.models import keras_private

_OF_KERAS = ("floatx", "epsilon", "image_data_format", "dtype_policy", "max_epochs", "max_steps_per_epoch")
_OF_JAX = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
    "jax_numpy_dtype_promotion",
    "jax_numpy_rank_promotion",
    "jax_debug_nans",
    "jax_debug_infs",
    "jax_disable_jit",
    "jax_compilation_cache_dir",
)
"""What decides which numbers come out, and where compiled programs are kept."""


def settings_here() -> dict[str, Any]:
    """The settings of this session."""
    found: dict[str, Any] = {name: getattr(keras.config, name)() for name in _OF_KERAS}
    if "jax" in sys.modules:
        values = sys.modules["jax"].config.values
        found |= {name: values[name] for name in _OF_JAX if name in values}
    return found


def search_path() -> tuple[str, ...]:
    """This session's ``sys.path``, with a name for the current directory."""
    return tuple(entry or os.getcwd() for entry in sys.path)


def custom_objects(pack: Callable[[Any], Any]) -> dict[str, Any]:
    """The custom objects that are registered here, packed; what can't be is missed where it is needed."""
    packed = {}
    for name, value in keras_private.custom_objects().items():
        with contextlib.suppress(Exception):
            packed[name] = pack(value)
    return packed


def settle(
    settings: Mapping[str, Any], folder: str | None, path: Sequence[str], custom: Mapping[str, Any]
) -> None:
    """Take over a session's settings.

    Args:
        settings: as `settings_here` gave them.
        folder: its current directory; None where this machine does not have it.
        path: as `search_path` gave it.
        custom: as `custom_objects` gave them.
    """
    if folder is not None:
        os.chdir(folder)
    sys.path[:] = path if folder is not None else dict.fromkeys([*sys.path, *path])
    for name, value in settings.items():
        if name in _OF_KERAS:
            getattr(keras.config, f"set_{name}")(value)
        elif "jax" in sys.modules and sys.modules["jax"].config.values.get(name) != value:
            sys.modules["jax"].config.update(name, value)
    registered = keras.saving.get_custom_objects()
    registered.clear()
    for name, packed in custom.items():
        with contextlib.suppress(Exception):  # what needs it says so when it is built
            registered[name] = packed.open()
