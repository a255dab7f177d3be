"""Private names of Keras's hidden state, which belongs to a session and a thread.

In: nothing but the session. Out: its attributes and settings, and functions that put them back.
"""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras.src.backend.common import global_state
from keras.src.utils import module_utils, rng_utils

_SETTINGS = (
    "dtype_policy",
    "custom_objects_scope_dict",
    "distribution",
    "flash_attention",
    "nnx_enabled",
    "torch_device",
)
"""Those of Keras's thread-local attributes that a script sets, and a fresh process would have."""


def attributes() -> dict[str, Any]:
    """This thread's attributes, and (under "") the object that holds them."""
    tracker = global_state.GLOBAL_STATE_TRACKER
    return {"": tracker, **{k: _own(v) for k, v in tracker.__dict__.items()}}


def replace_attributes(values: Mapping[str, Any]) -> None:
    """Make this thread's attributes be ``values``; undoes a ``clear_session`` made in between."""
    tracker = values.get("", global_state.GLOBAL_STATE_TRACKER)
    global_state.GLOBAL_STATE_TRACKER = tracker
    tracker.__dict__.clear()
    tracker.__dict__.update({k: _own(v) for k, v in values.items() if k})


class _OfThisThread:
    """Stands for ``threading`` in Keras's ``clear_session``, which makes new thread-local objects by it."""

    def local(self) -> Any:
        """The one that there is, without this thread's attributes: other threads keep theirs."""
        tracker = global_state.GLOBAL_STATE_TRACKER
        tracker.__dict__.clear()
        return tracker

    def __getattr__(self, name: str) -> Any:
        return getattr(threading, name)


def clear_session_by_thread(on: bool) -> None:
    """Whether ``keras.utils.clear_session`` clears the attributes of the calling thread only, or of all."""
    global_state.threading = _OfThisThread() if on else threading


def _own(value: Any) -> Any:
    """What Keras changes in place, such as name counters and lists of variables to initialize, as a copy."""
    return copy.copy(value) if isinstance(value, list | dict | set) else value


def settings_only(values: Mapping[str, Any]) -> dict[str, Any]:
    """Of ``values``, what a fresh process would have: settings, no counters, no generators.

    Where nobody has set a dtype policy, Keras makes one of ``floatx`` when it is first needed, and keeps it.
    That is not carried on, so that a builder which sets ``floatx`` has the policy of it.
    """
    policy = values.get("dtype_policy")
    default = isinstance(policy, keras.DTypePolicy) and policy.get_config() == {"name": keras.config.floatx()}
    carried = set(_SETTINGS) - ({"dtype_policy"} if default else set())
    return {k: v for k, v in values.items() if k in carried or not k}


def name_counters() -> dict[str, int]:
    """How often Keras has made up each name in this thread: the next object of a class is named by it."""
    return dict(global_state.get_global_attribute("object_name_uids") or {})


def with_seed(values: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """``values`` as if ``keras.utils.set_random_seed`` had been called with another seed."""
    return {**values, rng_utils.GLOBAL_RANDOM_SEED: seed}


def configuration() -> dict[str, str]:
    """What Keras is set to, in this thread, of what its code reads while a model is built or traced."""
    config = keras.config
    found: dict[str, Any] = {
        "floatx": config.floatx(),
        "epsilon": config.epsilon(),
        "image_data_format": config.image_data_format(),
        **{name: global_state.get_global_attribute(name) for name in _SETTINGS},
    }
    found["dtype_policy"] = config.dtype_policy().name
    found["custom_objects_scope_dict"] = sorted(found["custom_objects_scope_dict"] or ())
    return {name: repr(value) for name, value in found.items()}


def has_tensorflow_strategy() -> bool:
    """Whether this runs in the scope of a ``tf.distribute`` strategy."""
    if keras.backend.backend() != "tensorflow":
        return False
    return bool(sys.modules["tensorflow"].distribute.has_strategy())


def custom_objects() -> dict[str, Any]:
    """Name → the custom class or function registered under it, in this thread's scopes too."""
    scope = global_state.get_global_attribute("custom_objects_scope_dict") or {}
    return {**keras.saving.get_custom_objects(), **scope}


def without_tensorflow() -> None:
    """Let Keras take TensorFlow for missing: on JAX, too, it loads it where a seed is set."""
    module_utils.tensorflow._available = False


def tensorflow_random_state() -> Callable[[], None]:
    """A function that puts TensorFlow's global seed, which ``set_random_seed`` sets, back as it is."""
    context = sys.modules["tensorflow.python.eager.context"].context()
    seed, generator = context._seed, getattr(context, "_rng", None)  # made when the seed is first set
    position = generator.getstate() if generator is not None else None

    def restore() -> None:
        context._seed, context._rng = seed, generator
        if generator is not None:
            generator.setstate(position)

    return restore
