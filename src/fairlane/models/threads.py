"""Which stream of random numbers each thread draws from.

In: threads, and the streams that they enter. Out: a `Stream` per thread: the innermost that it has entered;
else, where it was started inside a stream, its parent's; else the program's own, `PROGRAM`.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any

from fairlane.errors import FairlaneWarning

States = tuple[Any, Any]
"""What ``random.getstate()`` and ``np.random.get_state()`` give."""


class Stream:
    """A state of Python's and NumPy's global generators.

    Args:
        states: where they stand, as `fairlane.models.streams.generators_now` gives it. Without, they stand
            anywhere until they are seeded.

    Attributes:
        states: where they stand, while they are not in the global generators.
        apart: a ``RandomState`` that stands where NumPy's stands, instead of its state, or None.

    Example:
        >>> import random
        >>> from fairlane.models.streams import drawing_from, generators_now
        >>> stream = Stream(generators_now())
        >>> first = random.random()
        >>> with drawing_from(stream):
        ...     again = random.random()
        >>> first == again
        True
    """

    def __init__(self, states: States | None = None) -> None:
        self.states: list[Any] = list(states or (None, None))
        self.apart: Any = None
        self.owed: Callable[[], object] | None = None

    def settle(self) -> None:
        """Draw what is owed."""
        owed, self.owed = self.owed, None
        if owed is not None:
            owed()

    def state(self, position: int) -> Any:
        """Where Python's (0) or NumPy's generator (1) stands."""
        if position == 1 and self.apart is not None:
            self.settle()
            self.states[1], self.apart = self.apart.get_state(), None
        return self.states[position]


PROGRAM = Stream()
"""The stream of threads that have entered none, and were not started by one that has."""


class Place:
    """Where a thread stands: the streams that it has entered, and what its parent had entered when it began.

    Args:
        parent: the place of the thread that started this one inside of a stream, or None.
        foreign: whether the thread is not Python's own, as XLA's and TensorFlow's are not.
    """

    def __init__(self, parent: Place | None = None, foreign: bool = False) -> None:
        self.entered: list[Stream] = []
        self.foreign = foreign
        self.disturbed = ""  # why its results may be wrong; another thread found that
        self.parent: Place | None = None
        self.born: Stream | None = None
        self.call: Stream | None = None
        if parent is not None:
            inner = parent.entered
            self.parent = parent if inner else parent.parent
            self.born = inner[-1] if inner else parent.born
            self.call = inner[0] if inner else parent.call

    def stream(self) -> Stream:
        """What the thread draws from."""
        if self.entered:
            return self.entered[-1]
        if self.foreign:
            return _of_the_only_call()
        if self.parent is None:
            return PROGRAM
        if self.born is not None and is_entered(self.born):
            return self.born
        # A pool's thread, started for one trial and at work for the next; not after the call that began it.
        return self.parent.stream() if self.call is not None and is_entered(self.call) else PROGRAM

    def root(self) -> Place:
        """The place of the thread whose call this one works for; itself where the call is its own."""
        works = self.parent is not None and self.call is not None and is_entered(self.call)
        return self.parent.root() if works and self.parent is not None else self


_here = threading.local()
active: list[Place] = []
"""The places of threads that have entered a stream."""
suspended: list[Stream] = []
"""Streams that are left for a while: threads that were started inside of them draw on from them."""
changing = threading.RLock()


def place() -> Place:
    """This thread's place."""
    found: Place | None = getattr(_here, "place", None)
    if found is None:
        known = any(thread.ident == threading.get_ident() for thread in threading.enumerate())
        found = _here.place = Place(foreign=not known)
    return found


def others_active() -> list[Place]:
    """The calls under way in other threads, those left out that work for the same call as this one."""
    own = place().root()
    return [one for one in list(active) if one.root() is not own]


def is_entered(stream: Stream) -> bool:
    """Whether any thread has entered a stream, or has left it only for a while."""
    return stream in suspended or any(stream in one.entered for one in list(active))


def _of_the_only_call() -> Stream:
    """The stream of the only call, for a thread of XLA's or TensorFlow's; with several, it is not known."""
    roots = {id(one.root()): one.root() for one in list(active)}
    if len(roots) > 1:
        warnings.warn(
            "random numbers are drawn in a thread that is not Python's own (by a callback of JAX's, or a "
            "generator in tf.data) while several threads train with Fairlane. It is not known for which "
            "of them, so they come from the program's own generators, and results differ from run to "
            "run. Train one after another",
            FairlaneWarning,
            stacklevel=2,
        )
    return next(iter(roots.values())).stream() if len(roots) == 1 else PROGRAM


# --- threads that work for a call -----------------------------------------------------------------------

_start: Any = threading.Thread.start
_submit: Any = ThreadPoolExecutor.submit


def hand_down(on: bool) -> None:
    """Whether new threads, and work for a pool, draw from the stream of the thread that begins them."""
    for owner, name, own, theirs in (
        (threading.Thread, "start", _start_here, _start),
        (ThreadPoolExecutor, "submit", _submit_here, _submit),
    ):
        if on:
            setattr(owner, name, own)
        elif getattr(owner, name) is own:  # another package may have wrapped it meanwhile
            setattr(owner, name, theirs)


@wraps(_start)
def _start_here(thread: threading.Thread) -> None:
    """``Thread.start``: the new thread draws from its parent's stream."""
    parent = place()
    if parent.stream() is not PROGRAM:
        child, run, own = Place(parent), thread.run, vars(thread).get("run")

        def run_there() -> None:
            del thread.run
            if own is not None:
                thread.run = own  # type: ignore[method-assign]
            _here.place = child
            run()

        thread.run = run_there  # type: ignore[method-assign]
    _start(thread)


@wraps(_submit)
def _submit_here(pool: ThreadPoolExecutor, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """``ThreadPoolExecutor.submit``: the work draws from the stream of the thread that submits it."""
    parent = place()
    if parent.stream() is PROGRAM:
        return _submit(pool, function, *args, **kwargs)
    child = Place(parent)

    def work(*args: Any, **kwargs: Any) -> Any:
        before, _here.place = place(), child
        try:
            return function(*args, **kwargs)
        finally:
            _here.place = before

    return _submit(pool, work, *args, **kwargs)
