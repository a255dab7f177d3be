"""A new object from its recipe, with Keras's errors in words.

In: the object that a recipe was read from, the recipe, and the changes in it. Out: the new object, or an
error that says which class is in the way and what to add to it.
"""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Mapping
from typing import Any

import keras

from fairlane.errors import BuilderError
from fairlane.kit.libraries import is_keras_class
from fairlane.models.recipes.configs import BUILDER_INSTEAD, constructor, has
from fairlane.models.recipes.objects import ObjectRecipe

PathChanges = Mapping[tuple[str, ...], Any]
"""Where in an object's settings → the value."""
Changes = Mapping[Hashable, PathChanges]
"""Of whom (``"optimizer"``, ``"loss"``, ``"loss_weights"``, or the ``id`` of a layer) → where → the value."""


def described(changes: PathChanges) -> str:
    """Changes in words: ``kernel_regularizer.l2=0.1, units=3``."""
    return ", ".join(f"{'.'.join(keys)}={value!r}" for keys, value in changes.items())


def instance(old: Any, recipe: ObjectRecipe, changes: PathChanges) -> Any:
    """A new object of the same class.

    Args:
        old: the object that the recipe was read from.
        recipe: how to make the new one, with the changes.
        changes: those that the recipe has, for the error.

    Raises:
        BuilderError: the class does not take these settings; what to do.
    """
    later = _set_afterwards(old, recipe.settings)
    new = _made(old, recipe, changes)
    for name, value in later.items():
        setattr(new, name, value)
    return new


def _made(old: Any, recipe: ObjectRecipe, changes: PathChanges) -> Any:
    try:
        return recipe.make()
    except Exception as error:
        name = type(old).__name__
        label = f" {old.name!r}" if isinstance(getattr(old, "name", None), str) else ""
        if changes:
            raise BuilderError(f"{name}{label} does not take {described(changes)}: {cause(error)}") from error
        raise BuilderError(
            f"{name}{label} can't be rebuilt from what its `get_config()` returns: {cause(error)}\nLet "
            f"`get_config()` of class {name} return every argument of its constructor, or add a "
            f"`from_config(cls, config)` that takes what it returns. {BUILDER_INSTEAD}"
        ) from error


def cause(error: Exception) -> str:
    """The first line of the error that Keras wrapped."""
    inner = error
    while isinstance(inner, TypeError) and isinstance(inner.__context__, Exception):
        inner = inner.__context__
    return (
        f"{type(inner).__name__}: {str(inner).strip().splitlines()[0][:200]}" if str(inner) else repr(inner)
    )


def _set_afterwards(old: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Take out what Keras puts into every config and a custom constructor does not take.

    Returns:
        What to set on the new object instead.
    """
    cls = type(old)
    parameters = constructor(cls)
    if (
        is_keras_class(cls, "__init__")
        or not is_keras_class(cls, "from_config")
        or has(parameters, inspect.Parameter.VAR_KEYWORD)
    ):
        return {}
    candidates = ("name", "trainable", "dtype", "reduction")
    taken = {key: settings.pop(key) for key in candidates if key in settings and key not in parameters}
    if "dtype" in taken:
        dtype = taken.pop("dtype")
        if isinstance(old, keras.Layer):
            taken["dtype_policy"] = keras.dtype_policies.get(dtype)
    return taken
