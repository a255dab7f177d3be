"""What a model's config from a store may name, so that building it executes no code of the store's.

In: a config, as JSON has it, and the caller's own classes. Out: nothing; or an error that says what is
refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from fairlane.errors import StudyError
from fairlane.models.recipes.individual import BUILD

_MODULES = (
    *("keras.layers", "keras.models", "keras.optimizers", "keras.losses", "keras.metrics"),
    *("keras.initializers", "keras.regularizers", "keras.constraints", "keras.activations"),
    *("keras.dtype_policies", "keras.quantizers", "keras.random", "keras.ops"),
)
"""The public modules of what models are made of."""
_TOP = frozenset({"Sequential", "Model", "DTypePolicy", "FloatDTypePolicy", "DTypePolicyMap"})
"""What of the module ``keras`` itself is one of them."""
_PRIVATE = ("keras.src.models.functional", "keras.src.ops")
"""The modules that configs of functional models name."""
_FUNCTIONS = ("activations", "losses", "metrics", "initializers", "regularizers", "constraints", "ops")
_VALUES = frozenset(
    {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"},
)
"""Data in a config that JSON has no word for."""
_CODE = frozenset({"Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer", "__lambda__"})
"""What holds code, or reads files that do."""


def check(config: Any, custom_objects: Mapping[str, Any]) -> None:
    """Refuse a config that names anything but Keras's building blocks and the caller's own classes.

    Keras's safe mode refuses code too. This allows less, and runs before Keras reads any of it.

    Raises:
        StudyError: it names something else; what, and what to do.
    """
    todo = [config]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                _check_class(value, custom_objects)
            todo.extend(value.values())
        elif isinstance(value, list | tuple):
            todo.extend(value)


def _check_class(value: Mapping[str, Any], custom_objects: Mapping[str, Any]) -> None:
    name, module, registered = (value.get(key) for key in ("class_name", "module", "registered_name"))
    if name in _CODE:
        raise StudyError(
            f"the model has a {name}, whose code would have to be executed from the store, which Fairlane "
            f"never does; {BUILD}"
        )
    function = name == "function"
    name = value.get("config") if function else name
    if name in _VALUES and module is None:
        return
    own = _is_keras_function(module, name) if function else _is_keras_class(module, name)
    if own or any(_is_known(key, custom_objects) for key in (name, registered)):
        return
    raise StudyError(
        f"the model has {name!r:.60} of {module!r:.60}, which is not one of Keras's building blocks: give "
        f"it, fairlane.open(store, name, custom_objects={{{name!r:.60}: ...}}), or {BUILD}"
    )


def _is_keras_class(module: Any, name: Any) -> bool:
    if not isinstance(module, str) or not isinstance(name, str):
        return False
    return (module == "keras" and name in _TOP) or _lies_in(module, (*_MODULES, *_PRIVATE))


def _is_keras_function(module: Any, name: Any) -> bool:
    if not isinstance(module, str) or not isinstance(name, str) or not name.isidentifier():
        return False
    homes = [getattr(keras, home) for home in _FUNCTIONS]
    if module == "builtins":  # where Keras says that its own functions are
        return any(callable(getattr(home, name, None)) for home in homes)
    return _lies_in(module, tuple(f"keras.{home}" for home in _FUNCTIONS))


def _lies_in(module: str, parents: tuple[str, ...]) -> bool:
    return any(module == parent or module.startswith(f"{parent}.") for parent in parents)


def _is_known(name: Any, custom_objects: Mapping[str, Any]) -> bool:
    if not isinstance(name, str):
        return False
    return name in custom_objects or keras.saving.get_registered_object(name) is not None
