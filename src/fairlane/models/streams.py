"""Random numbers by thread: whose state Python's and NumPy's global generators draw from.

In: a `Stream`, a state of both generators, and a thread that enters it with `drawing_from`. Out: until the
thread leaves it, all that it draws from ``random`` and ``np.random`` comes from that stream. So do the draws
of threads that it starts. All other threads draw from the program's own state, `PROGRAM`, as if nothing
happened.

There is one global generator of each kind. Before each draw, the state of the thread that draws is put into
it, if another state is there. NumPy takes a lock around every draw, so this is done in that lock; for
Python's generator, it is done in its methods, as long as a stream is entered. No thread waits for another
longer than a draw takes.
"""

from __future__ import annotations

import random
import sys
import sysconfig
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fairlane.errors import FairlaneWarning
from fairlane.models import keras_private
from fairlane.models.threads import PROGRAM, States, Stream, active, changing, hand_down, place, suspended

_np_random: Any = np.random


def generators_now() -> States:
    """Where the generators stand that this thread draws from, as plain data."""
    return random.getstate(), np.random.get_state()  # noqa: NPY002


def set_generators(states: States) -> None:
    """Let the generators that this thread draws from stand where `generators_now` said."""
    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002


@contextmanager
def drawing_from(stream: Stream, eager: bool = True) -> Iterator[None]:
    """Let this thread, and threads that it starts, draw from a stream.

    Args:
        stream: the stream; `PROGRAM` for the program's own state, inside of another stream.
        eager: put Python's state in place now, so that functions that were imported by name draw from it too
            (``from random import random``).
    """
    here = place()
    depth = len(here.entered)
    try:
        enter(stream, eager)
        yield
    finally:
        leave(depth)


def enter(stream: Stream, eager: bool = True) -> int:
    """As `drawing_from`; to be left with `leave`.

    Returns:
        What `leave` takes.
    """
    here = place()
    depth = len(here.entered)
    with changing:
        if not (active or suspended):
            _by_thread()
        if here not in active:
            active.append(here)
        here.entered.append(stream)
    if eager:
        _PYTHON.load(stream)
    return depth


def leave(depth: int) -> None:
    """Leave the streams that were entered since `enter` returned ``depth``; leaving twice does no harm."""
    here = place()
    with changing:
        del here.entered[depth:]
        if not here.entered and here in active:
            active.remove(here)
        if not (active or suspended):
            _by_no_thread()
    if active or suspended:
        _PYTHON.load(here.stream())
    if _PYTHON.contended:
        _PYTHON.contended = False
        _warn_of_names()


@contextmanager
def left_for_a_while(stream: Stream) -> Iterator[None]:
    """Around leaving a stream and entering it again: threads that were started inside draw on from it."""
    with changing:
        suspended.append(stream)
    try:
        yield
    finally:
        with changing:
            suspended.remove(stream)


def apart(stream: Stream) -> np.random.RandomState:
    """A generator that stands where a stream's NumPy generator stands: what it draws, the stream draws.

    It is the stream's until a thread draws from that as usual. Reading and setting a state takes longer than
    most draws, so where it is known what is drawn, this is much cheaper than `drawing_from`.
    """
    if _NUMPY.loaded is stream:
        _NUMPY.load(PROGRAM)
    stream.settle()
    if stream.apart is None:
        generator = np.random.RandomState(0)
        generator.set_state(stream.states[1])
        stream.apart = generator
    found: np.random.RandomState = stream.apart
    return found


# --- whose state is in the generators -------------------------------------------------------------------

_NO_STREAM = Stream()


class _Generator:
    """A global generator, and whose state is in it. Entered around each draw, it is NumPy's lock.

    Args:
        position: of its state in a stream's states.
        read: its state.
        write: sets its state.
    """

    def __init__(self, position: int, read: Callable[[], Any], write: Callable[[Any], None]) -> None:
        self._position, self._read, self._write = position, read, write
        self._mutex = threading.RLock()
        self._loading = False
        self.loaded = PROGRAM
        self.contended = False

    def __enter__(self) -> None:
        stream = place().stream()
        try:
            self._mutex.acquire()
            if self.loaded is not stream and not self._loading:  # reading and writing a state come here too
                self._load(stream)
                # Entering a stream has put its state in place, so another thread has drawn in between.
                self.contended = True
        except BaseException:  # Ctrl-C too must not leave it locked
            if self._mutex._is_owned():  # type: ignore[attr-defined]
                self._mutex.release()
            raise

    def __exit__(self, *exc: object) -> None:
        self._mutex.release()

    def load(self, stream: Stream) -> None:
        """Put a stream's state into the generator."""
        if self.loaded is not stream:
            with self._mutex:
                self._load(stream)

    def _load(self, stream: Stream) -> None:
        before = self.loaded
        if before is stream:
            return
        self._loading = True
        try:
            before.states[self._position] = self._read()
            self.loaded = _NO_STREAM  # if Ctrl-C comes now, what was read is safe, and this is done again
            state = stream.state(self._position)
            if state is not None:
                self._write(state)
            self.loaded = stream
        finally:
            self._loading = False


_instance: Any = random.random.__self__  # type: ignore[attr-defined]  # the one behind the module's functions
_PYTHON = _Generator(
    0, lambda: random.Random.getstate(_instance), lambda state: random.Random.setstate(_instance, state)
)
_NUMPY = _Generator(1, lambda: np.random.get_state(), lambda state: np.random.set_state(state))  # noqa: NPY002


class _ByThread(random.Random):
    """The class of Python's global generator while a stream is entered: its state is the drawing thread's."""

    # Not by super(): the class is taken away again while another thread may be inside of a method.

    def random(self) -> float:
        with _PYTHON:
            return random.Random.random(self)

    def getrandbits(self, k: int, /) -> int:
        with _PYTHON:
            return random.Random.getrandbits(self, k)

    def seed(self, *args: Any, **kwargs: Any) -> None:
        with _PYTHON:
            random.Random.seed(self, *args, **kwargs)

    def getstate(self) -> tuple[Any, ...]:
        with _PYTHON:
            return random.Random.getstate(self)

    def setstate(self, state: tuple[Any, ...]) -> None:
        with _PYTHON:
            random.Random.setstate(self, state)

    @property
    def gauss_next(self) -> Any:
        """The second of two normal draws, which belongs to the state."""
        with _PYTHON:
            return self.__dict__.get("gauss_next")

    @gauss_next.setter
    def gauss_next(self, value: Any) -> None:
        with _PYTHON:
            self.__dict__["gauss_next"] = value

    def __reduce__(self) -> Any:
        return random.Random, (), self.getstate()


_NAMES = ("random", "getrandbits", "seed", "getstate", "setstate")
"""Those functions of ``random`` that do not go through another one of them."""
_ORIGINAL = {name: getattr(random, name) for name in _NAMES}


def _by_thread() -> None:
    """Install what lets each thread draw from its own stream."""
    _numpy_by_thread()
    _instance.__class__ = _ByThread
    for name in _NAMES:
        setattr(random, name, getattr(_instance, name))
    hand_down(True)
    keras_private.clear_session_by_thread(True)


def _by_no_thread() -> None:
    """Remove that, with the program's own state in place. Only NumPy's lock stays."""
    _PYTHON.load(PROGRAM)
    _NUMPY.load(PROGRAM)
    keras_private.clear_session_by_thread(False)
    hand_down(False)
    for name, function in _ORIGINAL.items():
        setattr(random, name, function)
    _instance.__class__ = random.Random


def _numpy_by_thread() -> None:
    """Let NumPy's global generator draw the same numbers, but through our lock."""
    there: Any = _np_random.get_bit_generator()
    if getattr(there, "lock", None) is _NUMPY:
        return
    ours = _bit_generator(type(there))()
    while True:
        state = np.random.get_state(legacy=False)  # noqa: NPY002  # which takes the lock, so not below
        with there.lock:  # no other thread draws
            if _same_state(state["state"], there.state["state"]):
                _np_random.set_bit_generator(ours)
                np.random.set_state(state)  # noqa: NPY002
                break
    for _ in range(5):  # threads that waited for the old lock draw now, before another state is put in place
        time.sleep(0.001)
        with there.lock:
            pass


def _same_state(a: Any, b: Any) -> bool:
    return all(np.array_equal(a[key], b[key]) for key in b)


def _bit_generator(kind: Any) -> Any:
    """A bit generator's class, with our lock instead of its own."""

    class Locked(kind):  # type: ignore[misc]
        lock = _NUMPY

        @property
        def state(self) -> Any:
            with _NUMPY:
                return kind.state.__get__(self)

        @state.setter
        def state(self, value: Any) -> None:
            with _NUMPY:
                kind.state.__set__(self, value)

        def __reduce__(self) -> Any:  # a copy, and what is pickled, is one of NumPy's own
            plain = kind()
            plain.state = self.state
            return plain.__reduce__()

    Locked.__name__ = Locked.__qualname__ = kind.__name__  # which NumPy writes into states, and compares
    return Locked


# --- what can't be separated ---------------------------------------------------------------------------

_warned: set[str] = set()


def _warn_of_names() -> None:
    """Warn of modules whose draws can't be separated by thread, once per module."""
    installed = tuple(path for name, path in sysconfig.get_paths().items() if "lib" in name)
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None) or ""
        if name in _warned or module is random or path.startswith(installed):
            continue
        imported = [
            f"{key} (of random)"
            for key, value in list(getattr(module, "__dict__", {}).items())
            if any(value is function for function in _ORIGINAL.values())
        ]
        if imported:
            _warned.add(name)
            warnings.warn(
                f"several threads draw random numbers while Fairlane trains, and module {name!r} has "
                f"imported {', '.join(imported)} by name. These may draw from another thread's state, so "
                "that results differ from run to run. Write `import random` and `random.random()` there",
                FairlaneWarning,
                stacklevel=3,
            )
