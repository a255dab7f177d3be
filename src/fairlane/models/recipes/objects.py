"""One object with a config → its recipe, and the object from its recipe.

In: a layer, optimizer, loss, metric, initializer or other object with ``get_config``. Out: an `ObjectRecipe`:
its class, a fresh, nested dict of settings, and the custom objects that these name.

Keras's configs are made for files. Here they go from one object to the next, so a plain function (a lambda
too) is handed over as itself under a name of its own, a custom class need not be registered, and what a
custom class forgot to put into its config is an error instead of a model that differs in silence.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from fairlane.errors import BuilderError
from fairlane.kit.libraries import is_keras_class, is_keras_module
from fairlane.kit.values import mapped
from fairlane.models.recipes.configs import constructor, label, raw_settings


@dataclass(frozen=True)
class ObjectRecipe:
    """What an object is made from.

    Attributes:
        kind: its class.
        settings: the config: constructor arguments, nested objects in Keras's form, or as recipes.
        scope: name → the custom class or function that the settings call by that name.
    """

    kind: type
    settings: dict[str, Any]
    scope: dict[str, Any] = field(default_factory=dict)

    def set(self, keys: tuple[str, ...], value: Any) -> None:
        """Put ``value`` at a path such as ``("kernel_regularizer", "l2")``.

        A whole number that replaces a fraction becomes one, which Keras requires of a learning rate.
        """
        node = self.settings
        for key in keys[:-1]:
            node = inner_settings(node[key])
        old = node[keys[-1]]
        if isinstance(old, float) and type(value) is int:
            value = float(value)
        if is_function(value) and _names_function(old):
            value = self.function(value)
        node[keys[-1]] = value

    def function(self, function: Callable[..., Any]) -> dict[str, Any]:
        """What stands for a plain function in the settings."""
        name = f"fairlane_function_{id(function)}"
        self.scope[name] = function
        return {
            "module": "builtins",
            "class_name": "function",
            "config": name,
            "registered_name": name,
        }

    def make(self) -> Any:
        """The object, and those within it."""
        with keras.saving.custom_object_scope(self.scope):
            return self.kind.from_config(made(self.settings))  # type: ignore[attr-defined]


def made(value: Any) -> Any:
    """A tree with the objects in the place of their recipes."""
    return mapped(value, lambda leaf: leaf.make() if isinstance(leaf, ObjectRecipe) else leaf)


def read_object(
    thing: Any, *, keep_seeds: bool = False, renew: Callable[[Any], Any] = lambda value: value
) -> ObjectRecipe:
    """The recipe of an object.

    Args:
        thing: an object with ``get_config``.
        keep_seeds: whether integer seeds stay; else a draw, or None where the constructor draws.
        renew: what to do with a live Keras object that ``get_config`` failed to serialise.

    Raises:
        BuilderError: ``get_config`` raises, or does not return what the constructor needs.
    """
    found = _Reachable.of(thing)
    recipe = ObjectRecipe(type(thing), {}, found.scope())
    reader = _Reader(thing, recipe, found, keep_seeds, renew)
    recipe.settings.update(reader.settings(raw_settings(thing), _draws_itself(type(thing))))
    return recipe


def has_config(value: Any) -> bool:
    """Whether a recipe can be read from it: not from a class, nor from a policy, which is constant."""
    return hasattr(value, "get_config") and not isinstance(value, type | keras.DTypePolicy)


def inner_settings(value: Any) -> Any:
    """The settings of an object in Keras's serialised form; any other value as it is."""
    if isinstance(value, dict) and isinstance(value.get("config"), dict) and "class_name" in value:
        return value["config"]
    return value


def is_function(value: Any) -> bool:
    """Whether it is called by its name: a function, a lambda, a ufunc, a jitted function."""
    return (
        callable(value)
        and hasattr(value, "__name__")
        and not isinstance(value, type)
        and not hasattr(value, "get_config")
    )


def draw_seed() -> int:
    """A seed from Python's random state, where Keras's own layers take theirs from."""
    return random.randint(1, 10**9)


@dataclass
class _Reachable:
    """What an object holds, at any depth: each with the name of the attribute that holds it."""

    functions: list[tuple[str, Any]]
    objects: list[tuple[str, Any]]

    @classmethod
    def of(cls, root: Any) -> _Reachable:
        found = cls([], [])
        seen: dict[int, Any] = {}
        waiting = [("", root)]
        while waiting:
            name, value = waiting.pop()
            if id(value) in seen:
                continue
            seen[id(value)] = value
            if isinstance(value, dict):
                waiting.extend((str(key), inner) for key, inner in value.items())
            elif isinstance(value, list | tuple | set):
                if not all(isinstance(inner, str | int | float) for inner in value):
                    waiting.extend((name, inner) for inner in value)
            elif is_function(value):
                found.functions.append((name.lstrip("_"), value))
            elif hasattr(value, "get_config") and not isinstance(value, type):
                found.objects.append((name.lstrip("_"), value))
                waiting.extend(getattr(value, "__dict__", {}).items())
        return found

    def scope(self) -> dict[str, Any]:
        """The custom classes under each name that Keras may look for."""
        classes = {type(thing) for _, thing in self.objects}
        custom = {cls.__name__: cls for cls in classes if not is_keras_class(cls)}
        registered = {keras.saving.get_registered_name(cls): cls for cls in custom.values()}
        return {**custom, **registered}

    def object(self, serialised: Mapping[str, Any], key: str) -> Any:
        """The object behind its serialised form under ``key``, or None where that is not known."""
        fitting = {
            id(thing): thing
            for name, thing in self.objects
            if name == key and type(thing).__name__ == serialised["class_name"]
        }
        return next(iter(fitting.values())) if len(fitting) == 1 else None

    def function(self, serialised: Mapping[str, Any], key: str, owner: Any) -> Any:
        """The function behind its serialised form under ``key``, or None where Keras finds it."""
        is_lambda = serialised["class_name"] == "__lambda__"
        called = "<lambda>" if is_lambda else serialised["config"]
        fitting = [(name, f) for name, f in self.functions if _is_called(f, called)]
        under_key = [(name, f) for name, f in fitting if name == key]
        distinct = {id(f): f for _, f in under_key or fitting}
        if len(distinct) == 1:
            return next(iter(distinct.values()))
        if distinct or is_lambda:
            raise BuilderError(
                f"{type(owner).__name__} {label(owner)}has a function {called!r} under {key!r} that can't be "
                f"distinguished from others of that name. Give each a name of its own with `def`."
            )
        return None


@dataclass
class _Reader:
    """Reads one object's raw config into settings that share nothing with the object."""

    owner: Any
    recipe: ObjectRecipe
    found: _Reachable
    keep_seeds: bool
    renew: Callable[[Any], Any]

    def settings(self, raw: Mapping[str, Any], draws: bool) -> dict[str, Any]:
        """The settings of an object; ``draws`` says whether it draws a seed where it gets None."""
        return {str(key): self._seed_or_value(value, str(key), draws) for key, value in raw.items()}

    def _seed_or_value(self, value: Any, key: str, draws: bool) -> Any:
        if key == "seed" and type(value) is int and not self.keep_seeds:
            return None if draws else draw_seed()
        return self.value(value, key)

    def value(self, value: Any, key: str) -> Any:
        """One value, at any depth."""
        if isinstance(value, dict):
            return self._dict(value, key)
        if isinstance(value, list | tuple) and type(value).__name__ != "_DictWrapper":
            items = [self.value(item, key) for item in value]
            return tuple(items) if isinstance(value, tuple) else items
        if isinstance(value, type | keras.dtype_policies.DTypePolicy | keras.KerasTensor):
            return value
        if hasattr(value, "get_config") and hasattr(value, "from_config"):
            return self.renew(value)
        if is_function(value):
            return value
        return value.copy() if isinstance(value, np.ndarray) else value

    def _dict(self, value: dict[str, Any], key: str) -> dict[str, Any]:
        if _names_function(value):
            function = self.found.function(value, key, self.owner)
            return dict(value) if function is None else self.recipe.function(function)
        if "class_name" in value and isinstance(value.get("config"), dict):
            thing = self.found.object(value, key)
            raw = value["config"] if thing is None else raw_settings(thing)
            by_keras = is_keras_module(str(value.get("module")))
            draws = by_keras if thing is None else _draws_itself(type(thing))
            rest = {k: v for k, v in value.items() if k not in ("config", "compile_config")}
            return {**rest, "config": self.settings(raw, draws)}
        return self.settings(value, draws=False)


def _names_function(value: Any) -> bool:
    """Whether it is a function in Keras's serialised form: only those have no dict as config."""
    if not isinstance(value, dict) or "class_name" not in value:
        return False
    return value["class_name"] == "__lambda__" or isinstance(value.get("config"), str)


def _is_called(function: Any, name: str) -> bool:
    return name in (function.__name__, keras.saving.get_registered_name(function))


def _draws_itself(cls: type) -> bool:
    """Whether an object of the class, given no seed, draws one from Python's random state."""
    for base in cls.__mro__:
        if "__init__" in vars(base) and "seed" in (parameters := constructor(base)):
            return is_keras_class(base) or parameters["seed"].default is None
    return False
