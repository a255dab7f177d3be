"""The session's hidden state, set aside for a trial and put back after it.

In: a seed. Out: a `Session` in which code runs as in a fresh process that called
``keras.utils.set_random_seed(seed)`` first; on leaving, the caller's own state is as it was.

Hidden state is: Python's, NumPy's and the backend's random generators, Keras's thread-local attributes
(its seed generator, name counters, dtype policy, scopes), its settings (floatx, epsilon, image format, limits
of epochs and steps) and JAX's.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from fairlane import _keras


@dataclass
class _State:
    """One complete set of hidden state."""

    python: Any
    numpy: Any
    keras: dict[str, Any]
    settings: tuple[Any, ...]
    jax: dict[str, Any]
    others: list[Callable[[], None]]


class Session:
    """A private copy of the hidden state, entered as often as a trial needs it.

    Args:
        seed: what ``keras.utils.set_random_seed`` is called with on the first entry; None leaves the
            random generators as the caller has them at that moment.

    Example:
        >>> import numpy as np
        >>> before = np.random.get_state()[1].sum()
        >>> with Session(7):
        ...     a = np.random.rand()
        >>> with Session(7):
        ...     b = np.random.rand()
        >>> a == b, bool(np.random.get_state()[1].sum() == before)
        (True, True)
    """

    def __init__(self, seed: int | None) -> None:
        self._seed = seed
        self._own: _State | None = None
        self._caller: _State | None = None

    def __enter__(self) -> Session:
        self._caller = _capture()
        if self._own is None:
            attributes = _keras.settings_only(self._caller.keras)
            _keras.replace_attributes(attributes)
            if self._seed is not None:
                keras.utils.set_random_seed(self._seed)
        else:
            _install(self._own)
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._caller is not None
        self._own = _capture()
        _install(self._caller)
        self._caller = None

    def generators(self) -> tuple[Any, Any]:
        """Where Python's and NumPy's random generators stand, as plain data."""
        assert self._own is not None, "a session must have been entered before"
        return self._own.python, self._own.numpy

    def set_generators(self, states: tuple[Any, Any]) -> None:
        """Let the random generators stand where they were when `generators` told."""
        assert self._own is not None, "a session must have been entered before"
        self._own.python, self._own.numpy = states

    def draw(self, function: Callable[[], Any]) -> Any:
        """Call ``function`` with only NumPy's global generator set to this session's.

        It is what the batch order is drawn from, and much cheaper than entering the whole session.
        """
        assert self._own is not None, "a session must have been entered before"
        caller = np.random.get_state()  # noqa: NPY002
        np.random.set_state(self._own.numpy)  # noqa: NPY002
        try:
            return function()
        finally:
            self._own.numpy = np.random.get_state()  # noqa: NPY002
            np.random.set_state(caller)  # noqa: NPY002


class Generators:
    """Python's and NumPy's global random generators where they stand now, to go on from later.

    Args:
        states: where they stand instead, as `told` tells it.

    Example:
        >>> import random
        >>> generators = Generators()
        >>> first = random.random()
        >>> with generators:
        ...     again = random.random()
        >>> first == again
        True
    """

    def __init__(self, states: tuple[Any, Any] | None = None) -> None:
        self._own = states or generators_now()
        self._caller: Any = None

    def __enter__(self) -> Generators:
        self._caller = generators_now()
        self.hand_on()
        return self

    def __exit__(self, *exc: object) -> None:
        self._own = generators_now()
        set_generators(self._caller)

    def told(self) -> tuple[Any, Any]:
        """Where they stand, as plain data."""
        return self._own

    def hand_on(self) -> None:
        """Let the global generators stand where these stand."""
        set_generators(self._own)


def generators_now() -> tuple[Any, Any]:
    """Where Python's and NumPy's global random generators stand, as plain data."""
    return random.getstate(), np.random.get_state()  # noqa: NPY002


def set_generators(states: tuple[Any, Any]) -> None:
    """Let Python's and NumPy's global random generators stand where `generators_now` told."""
    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002


@contextmanager
def left_as_found() -> Iterator[None]:
    """Put the hidden state back afterwards, even where Ctrl-C came while a `Session` changed hands."""
    state = _capture()
    try:
        yield
    finally:
        _install(state)


def _capture() -> _State:
    return _State(
        python=random.getstate(),
        numpy=np.random.get_state(),  # noqa: NPY002
        keras=_keras.attributes(),
        settings=tuple(getattr(keras.config, name)() for name in _SETTINGS),
        jax=_jax_settings(),
        others=_other_generators(),
    )


def _install(state: _State) -> None:
    random.setstate(state.python)
    np.random.set_state(state.numpy)  # noqa: NPY002
    _keras.replace_attributes(state.keras)
    for name, value in zip(_SETTINGS, state.settings, strict=True):
        if getattr(keras.config, name)() != value:
            getattr(keras.config, f"set_{name}")(value)
    now = _jax_settings()
    for name, value in state.jax.items():
        if now.get(name) is not value and now.get(name) != value:
            sys.modules["jax"].config.update(name, value)
    for restore in state.others:
        restore()


_SETTINGS = ("floatx", "epsilon", "image_data_format", "max_epochs", "max_steps_per_epoch")
"""Keras's settings of the whole process, as functions of ``keras.config``: ``floatx`` and ``set_floatx``."""


def _jax_settings() -> dict[str, Any]:
    """What ``jax.config.update`` has set, for the whole process; nothing where JAX is not loaded."""
    return dict(sys.modules["jax"].config.values) if "jax" in sys.modules else {}


def _other_generators() -> list[Callable[[], None]]:
    """How to put back the generators of TensorFlow and torch, where they are loaded."""
    restores: list[Callable[[], None]] = []
    if "torch" in sys.modules and keras.backend.backend() == "torch":
        torch = sys.modules["torch"]
        state = torch.get_rng_state()
        restores.append(lambda: torch.set_rng_state(state))
    if "tensorflow" in sys.modules:
        restores.append(_keras.tensorflow_random_state())
    return restores
