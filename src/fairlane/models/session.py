"""The session's hidden state, set aside for a trial and put back after it.

In: a seed. Out: a `Session` in which code runs as in a fresh process that called
``keras.utils.set_random_seed(seed)`` first; on leaving, the caller's own state is as it was.

Hidden state is: Python's, NumPy's and the backend's random generators, Keras's thread-local attributes
(its seed generator, name counters, dtype policy, scopes), its settings (floatx, epsilon, image format, limits
of epochs and steps) and JAX's.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from fairlane.errors import StudyError
from fairlane.models import keras_private
from fairlane.models.streams import (
    apart,
    drawing_from,
    enter,
    generators_now,
    leave,
    left_for_a_while,
    set_generators,
)
from fairlane.models.threads import PROGRAM, States, Stream, others_active, place


@dataclass
class _State:
    """One complete set of hidden state, but for Python's and NumPy's generators."""

    keras: dict[str, Any]
    settings: tuple[Any, ...]
    jax: dict[str, Any]
    others: list[Callable[[], None]]


class Session:
    """A private copy of the hidden state, entered as often as a trial needs it.

    Python's and NumPy's generators are a `Stream` of the session's: other threads draw on from their own.
    Keras itself stores its attributes by thread.

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
        self._stream: Stream | None = None
        self._around: Stream = PROGRAM
        self._depth = self._turn = 0
        self._entered_with: tuple[Any, ...] = ()

    def __enter__(self) -> Session:
        self._enter()
        assert self._caller is not None
        try:
            _check_settings(self._caller, self._own or self._caller)
        except StudyError:
            self.__exit__(StudyError)
            raise
        return self

    def _enter(self) -> None:
        self._turn = _TURNS.take()
        self._caller = _capture()
        self._around = place().stream()
        if self._stream is None:
            self._stream = Stream(generators_now() if self._seed is None else None)
        self._depth = enter(self._stream)
        if self._own is None:
            attributes = keras_private.settings_only(self._caller.keras)
            keras_private.replace_attributes(attributes)
            if self._seed is not None:
                keras.utils.set_random_seed(self._seed)
        else:
            _install(self._own)
        self._entered_with = _settings(), _jax_settings()

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        assert self._caller is not None
        self._own = _capture()
        changed = replace(self._own, settings=self._entered_with[0], jax=self._entered_with[1])
        _install(self._caller)
        leave(self._depth)
        self._caller = None
        _TURNS.give(self._turn)
        if kind is None:
            _check_settings(changed, self._own)

    @contextmanager
    def left(self) -> Iterator[None]:
        """Leave this session for a while, where it is entered; other sessions may be entered meanwhile.

        Whether the trial has changed a setting that is one for all threads is checked at the end alone.
        """
        assert self._stream is not None, "a session must be entered"
        entered_with = self._entered_with
        with left_for_a_while(self._stream):
            self.__exit__(BaseException)
            try:
                yield
            finally:
                self._enter()
                self._entered_with = entered_with

    def generators(self) -> States:
        """Where Python's and NumPy's random generators stand, as plain data."""
        with self._drawing():
            return generators_now()

    def set_generators(self, states: States) -> None:
        """Let the random generators stand where `generators` found them."""
        with self._drawing():
            set_generators(states)

    def draw(self, function: Callable[[], Any]) -> Any:
        """Call ``function`` with only Python's and NumPy's global generators being this session's.

        It is what the batch order is drawn from, and much cheaper than entering the whole session.
        """
        with self._drawing(eager=False):
            return function()

    def apart(self) -> np.random.RandomState:
        """A generator that stands where the session's NumPy generator stands, and draws for it.

        Drawing from it is much cheaper than `draw`.
        """
        assert self._stream is not None, "a session must have been entered before"
        return apart(self._stream)

    def owe(self, draw: Callable[[], object]) -> None:
        """Let something be drawn from the generator `apart` later, in any thread.

        Args:
            draw: draws it, unless that was done; called before anything else is drawn in the session.
        """
        assert self._stream is not None, "a session must have been entered before"
        self._stream.owed = draw

    def for_seed(self, seed: int, python: Any) -> Session:
        """A session of another seed in which the same was done, but nothing was drawn from NumPy's generator.

        Args:
            seed: its seed.
            python: where Python's generator stands, as ``random.getstate()`` gives it.
        """
        assert self._own is not None, "a session must have been entered before"
        other = Session(seed)
        other._own = replace(self._own, keras=keras_private.with_seed(self._own.keras, seed))
        other._stream = Stream((python, None))
        other._stream.apart = np.random.RandomState(seed)
        return other

    @property
    def has_drawn_globally(self) -> bool:
        """Whether Keras's generator for draws without a seed was drawn from."""
        return self._own is not None and keras_private.has_drawn_globally(self._own.keras)

    def _drawing(self, eager: bool = True) -> AbstractContextManager[None]:
        assert self._stream is not None, "a session must have been entered before"
        return drawing_from(self._stream, eager)


class Generators:
    """Python's and NumPy's global random generators where they stand now, to go on from later.

    Args:
        states: where they stand instead, as `told` gave them.

    Example:
        >>> import random
        >>> generators = Generators()
        >>> first = random.random()
        >>> with generators:
        ...     again = random.random()
        >>> first == again
        True
    """

    def __init__(self, states: States | None = None) -> None:
        self._stream = Stream(states or generators_now())
        self._depth = 0

    def __enter__(self) -> Generators:
        self._depth = enter(self._stream)
        return self

    def __exit__(self, *exc: object) -> None:
        leave(self._depth)

    def states(self) -> States:
        """Where they stand, as plain data."""
        with drawing_from(self._stream):
            return generators_now()

    def hand_on(self) -> None:
        """Let the global generators stand where these stand."""
        set_generators(self.states())


@contextmanager
def left_as_found() -> Iterator[None]:
    """Put the hidden state back afterwards, even where Ctrl-C came while a `Session` changed hands.

    What is drawn inside begins where the caller's generators stand, and leaves them there.
    """
    turn = _TURNS.take()
    try:
        state = _capture()
        try:
            with drawing_from(Stream(generators_now())):
                yield
        finally:
            _install(state)
    finally:
        _TURNS.give(turn)


_SETTINGS = ("floatx", "epsilon", "image_data_format", "max_epochs", "max_steps_per_epoch")
"""Keras's settings that are one for all threads."""


def _check_settings(before: _State, now: _State) -> None:
    """Check that no setting was changed for another thread, nor by one.

    Raises:
        StudyError: it was.
    """
    here, others = place().root(), others_active()
    wrong, here.disturbed = here.disturbed, ""
    names = [
        f"keras.config.{name}()"
        for name, a, b in zip(_SETTINGS, before.settings, now.settings, strict=True)
        if a != b
    ]
    names += [f"jax.config.{name}" for name, a in before.jax.items() if now.jax.get(name) not in (a,)]
    if names and others:
        wrong = (
            f"{names[0]} has changed since a trial's builder or callbacks were called, while several threads "
            "train with Fairlane. Keras has one such setting for all threads, so the results of each may be "
            "wrong. Set it before the threads begin, or train one after the other"
        )
        for one in others:
            one.root().disturbed = wrong
    if wrong:
        raise StudyError(wrong)


class _Turns:
    """On backends whose random state is not by thread, calls of several threads wait for each other.

    A thread that works for a call, started by one of its callbacks, goes in with it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._holder: Any = None
        self._depth = 0

    def take(self) -> int:
        """Wait until no other call is inside.

        Returns:
            How often this call was inside before, for `give`.
        """
        if not _other_generators_loaded():
            return 0
        root = place().root()
        with self._changed:
            while self._holder not in (None, root):
                self._changed.wait()
            self._holder, self._depth = root, self._depth + 1
            return self._depth - 1

    def give(self, depth: int) -> None:
        """Undo `take`, and whatever was taken since."""
        with self._changed:
            if self._holder is not None and self._holder is place().root():
                self._depth = depth
                if not depth:
                    self._holder = None
                    self._changed.notify_all()


_TURNS = _Turns()


def _settings() -> tuple[Any, ...]:
    return tuple(getattr(keras.config, name)() for name in _SETTINGS)


def _capture() -> _State:
    return _State(
        keras=keras_private.attributes(),
        settings=_settings(),
        jax=_jax_settings(),
        others=_other_generators(),
    )


def _install(state: _State) -> None:
    keras_private.replace_attributes(state.keras)
    for name, value, there in zip(_SETTINGS, state.settings, _settings(), strict=True):
        if value != there:
            getattr(keras.config, f"set_{name}")(value)
    now = _jax_settings()
    for name, value in state.jax.items():
        if now.get(name) is not value and now.get(name) != value:
            sys.modules["jax"].config.update(name, value)
    for restore in state.others:
        restore()


def _jax_settings() -> dict[str, Any]:
    """What ``jax.config.update`` has set, for the whole process; nothing where JAX is not loaded."""
    return dict(sys.modules["jax"].config.values) if "jax" in sys.modules else {}


def _other_generators_loaded() -> bool:
    """Whether there are generators that all threads share, and that can't be separated."""
    return "tensorflow" in sys.modules or keras.backend.backend() == "torch"


def _other_generators() -> list[Callable[[], None]]:
    """How to put back the generators of TensorFlow and torch, where they are loaded."""
    restores: list[Callable[[], None]] = []
    if "torch" in sys.modules and keras.backend.backend() == "torch":
        torch = sys.modules["torch"]
        state = torch.get_rng_state()
        restores.append(lambda: torch.set_rng_state(state))
    if "tensorflow" in sys.modules:
        restores.append(keras_private.tensorflow_random_state())
    return restores
