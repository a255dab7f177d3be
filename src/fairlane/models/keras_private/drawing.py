"""Private names of how Keras draws initial values: the seeds it makes up, and the variables it initializes.

In: functions that are to be called instead, in this thread. Out: while they are, what Keras would have done
is theirs to do. On JAX only.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import keras
from keras.src.initializers.random_initializers import RandomInitializer
from keras.src.random import seed_generator


class Drawing(Protocol):
    """What a thread does instead of Keras where it draws initial values."""

    def seed_made(self, seed: int) -> None:
        """Keras has drawn a seed from Python's generator."""

    def initialize(
        self, variable: Any, initializer: Callable[..., Any], keras_own: Callable[[Any], None]
    ) -> None:
        """Give a variable its initial value.

        Args:
            variable: the variable; its shape and dtype are known.
            initializer: ``(shape, dtype) → array``.
            keras_own: does what Keras does, with an initializer.
        """

    def look(self) -> None:
        """The value of a variable is read."""

    def draw(self, kind: str, keras_own: Callable[..., Any], shape: Any, *args: Any, **kwargs: Any) -> Any:
        """Draw an array as ``keras.random.uniform``, ``normal`` or ``truncated_normal`` does."""


class _Here(threading.local):
    drawing: Drawing | None = None


_here = _Here()
_installed = 0
_installing = threading.Lock()
KINDS = ("uniform", "normal", "truncated_normal")
"""The functions of the backend that Keras's initializers draw with."""


@contextmanager
def drawing_by(drawing: Drawing) -> Iterator[None]:
    """Let this thread draw initial values by ``drawing``; other threads draw as before."""
    before = _here.drawing
    _install(1)
    _here.drawing = drawing
    try:
        yield
    finally:
        _here.drawing = before
        _install(-1)


def draws_itself() -> bool:
    """Whether this thread draws initial values as Keras does."""
    return _here.drawing is None


class _Random:
    """Stands for ``random`` where Keras makes up seeds."""

    def randint(self, low: int, high: int) -> int:
        seed = random.randint(low, high)
        if _here.drawing is not None:
            _here.drawing.seed_made(seed)
        return seed

    def __getattr__(self, name: str) -> Any:
        return getattr(random, name)


_originals: dict[str, Any] = {}


def _install(by: int) -> None:
    """Put our functions in the places of Keras's while any thread needs them."""
    global _installed
    backend = keras.src.backend
    variable, drawn = backend.Variable, backend.random
    with _installing:
        before, _installed = _installed, _installed + by
        if before == 0:
            _originals["initialize"] = vars(variable).get("_initialize_with_initializer")
            _originals.update({kind: getattr(drawn, kind) for kind in KINDS})
            variable._initialize_with_initializer = _initializing(variable._initialize_with_initializer)
            _originals["value"] = vars(variable).get("value")
            variable.value = _looking(variable.value)
            for kind in KINDS:
                setattr(drawn, kind, _drawing(kind, _originals[kind]))
            seed_generator.python_random = _Random()
        elif _installed == 0:
            if _originals["initialize"] is None:
                del variable._initialize_with_initializer
            else:
                variable._initialize_with_initializer = _originals["initialize"]
            if _originals["value"] is None:
                del variable.value
            else:
                variable.value = _originals["value"]
            for kind in KINDS:
                setattr(drawn, kind, _originals[kind])
            seed_generator.python_random = random


def _initializing(keras_own: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    def initialize(variable: Any, initializer: Callable[..., Any]) -> None:
        if _here.drawing is None or variable._layout is not None:
            keras_own(variable, initializer)
        else:
            _here.drawing.initialize(variable, initializer, lambda given: keras_own(variable, given))

    return initialize


def _looking(keras_own: property) -> property:
    assert keras_own.fget is not None
    read = keras_own.fget

    def value(variable: Any) -> Any:
        if _here.drawing is not None:
            _here.drawing.look()
        return read(variable)

    return property(value, keras_own.fset, keras_own.fdel, keras_own.__doc__)


def _drawing(kind: str, keras_own: Callable[..., Any]) -> Callable[..., Any]:
    def draw(shape: Any, *args: Any, **kwargs: Any) -> Any:
        if _here.drawing is None:
            return keras_own(shape, *args, **kwargs)
        return _here.drawing.draw(kind, keras_own, shape, *args, **kwargs)

    return draw


def draws_from_a_number(initializer: Any) -> bool:
    """Whether an initializer is one of Keras's that draw from an integer seed."""
    own = type(initializer).__module__.startswith("keras.")
    return own and isinstance(initializer, RandomInitializer) and type(initializer.seed) is int


def value_held(variable: Any) -> Any:
    """The very array that a variable holds."""
    return variable._value


def has_drawn_globally(attributes: Mapping[str, Any]) -> bool:
    """Whether something was drawn without a seed: then a thread's attributes have a generator for it."""
    return attributes.get(seed_generator.GLOBAL_SEED_GENERATOR) is not None
