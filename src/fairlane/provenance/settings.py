"""The settings of a session that change what training gives, as plain data.

In: the session as it is. Out: a text for each setting, to be stored with a study; and words for how two
sessions differ. Settings that only change messages, speed or the places of files are not among them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

_JAX = (
    "jax_enable_x64",
    "jax_explicit_x64_dtypes",
    "jax_default_matmul_precision",
    "jax_threefry_partitionable",
    "jax_default_prng_impl",
    "jax_random_seed_offset",
    "jax_high_dynamic_range_gumbel",
    "jax_numpy_dtype_promotion",
    "jax_softmax_custom_jvp",
    "jax_allow_f16_reductions",
)
"""The settings of JAX that change numbers, not only speed."""


def settings() -> dict[str, str]:
    """Setting → its value, as text that is the same in every process.

    Example:
        >>> settings()["keras.config.floatx"]
        'float32'
    """
    found = {name: _text(read()) for name, read in _KERAS.items()}
    if keras.backend.backend() == "jax":
        import jax

        # Another version of JAX may lack one of them.
        found |= {name: str(getattr(jax.config, name)) for name in _JAX if hasattr(jax.config, name)}
    if "torch" in sys.modules and keras.backend.backend() == "torch":
        found["torch.get_float32_matmul_precision"] = sys.modules["torch"].get_float32_matmul_precision()
    return found


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """A line per setting that has changed. A setting that only one of the two has can't be compared.

    Example:
        >>> list(changes({"jax_enable_x64": "False"}, {"jax_enable_x64": "True"}))
        ["jax_enable_x64 was False and is True now; jax.config.update('jax_enable_x64', False) sets it back"]
    """
    for name, value in now.items():
        then = before.get(name, value)
        if then != value:
            yield f"{name} was {then} and is {value} now; {_way_back(name, then)} sets it back"


def _way_back(name: str, value: str) -> str:
    """The code that sets a setting back."""
    if name in _KERAS:
        written = value if name in _NUMBERS or value == "None" else repr(value)
        when = "before Keras is imported, " if name == "keras.config.backend" else ""
        return f"{when}{name.replace('config.', 'config.set_')}({written})"
    if name.startswith("jax_"):
        return f"jax.config.update({name!r}, {value if value in ('True', 'False', 'None') else repr(value)})"
    return f"torch.set_float32_matmul_precision({value!r})"


def _text(value: Any) -> str:
    """A setting's value; a dtype policy with all that its name does not say."""
    if isinstance(value, keras.DTypePolicy):
        config = value.get_config()
        plain = type(value) is keras.DTypePolicy and list(config) == ["name"]
        return str(value.name) if plain else f"{type(value).__name__} {json.dumps(config, sort_keys=True)}"
    return value if isinstance(value, str) else repr(value)


_NAMES = (
    *("backend", "dtype_policy", "floatx", "epsilon", "image_data_format"),
    *("max_epochs", "max_steps_per_epoch"),  # only newer versions of Keras have these
)
_KERAS: dict[str, Callable[[], Any]] = {
    f"keras.config.{name}": getattr(keras.config, name) for name in _NAMES if hasattr(keras.config, name)
}
"""Setting → the function that reads it."""

_NUMBERS = frozenset({"keras.config.epsilon", "keras.config.max_epochs", "keras.config.max_steps_per_epoch"})
"""Settings that take a number, so that their value is written without quotes."""
