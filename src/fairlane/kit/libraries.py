"""Whose code is it: Keras's, a known library's, an installed package's, or the user's?

In: a code object, a class, a module's name, or a block in which code runs. Out: an answer to one of three
questions, which are not the same:

- Is it *foreign*, that is, of no library that Fairlane knows? What the known libraries (Keras, JAX, NumPy and
  those below them) read while a training step is traced is in Keras's own objects and configuration, and
  `program.structure` walks all of that. Foreign code can read anything: globals, files, the clock.
- Is it *installed*, rather than written by the person who runs the program? The version of installed code
  says what its text is, so that only the user's own code has to be read.
- Is it *Keras's own*?
"""

from __future__ import annotations

import cProfile
import functools
import gc
import importlib.util
import os
import sys
import sysconfig
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_KNOWN = ("keras", "jax", "jaxlib", "numpy", "ml_dtypes", "optree", "opt_einsum", "absl", "fairlane")
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_OF_THIRD_PARTIES = tuple(f"{os.sep}{folder}{os.sep}" for folder in sorted(_INSTALLED))
_PLACES = ("stdlib", "platstdlib", "purelib", "platlib")


# --- Keras's own


def home_of(cls: type, name: str) -> type | None:
    """The class, among a class and its bases, that defines a method or attribute; None where none does."""
    return next((base for base in cls.__mro__ if name in vars(base)), None)


def is_keras_module(module: str) -> bool:
    """Whether a module is part of Keras."""
    return module.partition(".")[0] == "keras"


def is_keras_class(cls: type, method: str = "") -> bool:
    """Whether a class is Keras's own; where a method is given, whether its version of that method is."""
    home = home_of(cls, method) if method else None
    return is_keras_module((home or cls).__module__)


# --- installed


@functools.cache
def is_installed(module: str) -> bool:
    """Whether a module was installed, rather than written by the person who runs the program.

    Example:
        >>> is_installed("keras.layers"), is_installed("json"), is_installed("__main__")
        (True, True, False)
    """
    root = module.partition(".")[0]
    if root in ("builtins", "fairlane") or root.startswith("_cython_"):  # Cython's own classes
        return True
    if root == "__main__":
        return False
    loaded = sys.modules.get(root)
    file = getattr(loaded, "__file__", None)
    if loaded is None or file is None:
        try:
            spec = importlib.util.find_spec(root)
        except (ImportError, ValueError, AttributeError):
            spec = None
        file = None if spec is None else spec.origin
        if file is None or file in ("built-in", "frozen"):
            return root in sys.stdlib_module_names
    path = Path(file).resolve()
    if _INSTALLED & set(path.parts):
        return True
    return any(path.is_relative_to(Path(sysconfig.get_paths()[name]).resolve()) for name in _PLACES)


def is_user_function(function: types.FunctionType) -> bool:
    """Whether the person who runs the program wrote a function.

    The answer is where its code stands. Its ``__module__`` would not do, which decorators overwrite.
    """
    return not is_installed(str(function.__globals__.get("__name__", "__main__")))


# --- foreign


@dataclass
class Witness:
    """What was seen while a block ran.

    Attributes:
        foreign: the name of the first foreign function that ran, or empty.
    """

    foreign: str = ""


@contextmanager
def watched() -> Iterator[Witness]:
    """Notice foreign Python functions that run in this thread, by the interpreter's own profiling hook.

    A profiler that is on is switched off meanwhile. It makes the block about twice as slow.

    Example:
        >>> from fairlane.kit.libraries import watched
        >>> with watched() as witness:
        ...     (lambda: 1)()
        1
        >>> witness.foreign
        '<lambda>'
    """
    witness = Witness()
    known: dict[int, types.CodeType] = {}  # by id: a code object's hash is of all that is in it

    def notice(frame: types.FrameType, event: str, arg: Any) -> None:
        if event != "call" or id(frame.f_code) in known:
            return
        code = frame.f_code
        if is_foreign_code(code, frame.f_globals.get("__name__", "")):
            witness.foreign = witness.foreign or code.co_qualname
        elif not code.co_filename.startswith("<"):  # whose it is does not depend on the module
            known[id(code)] = code

    before: Any = sys.getprofile()
    collects = gc.isenabled()
    gc.disable()  # the collector's callbacks and finalizers are somebody's code, but not the block's
    sys.setprofile(notice)
    try:
        yield witness
    finally:
        if isinstance(before, cProfile.Profile):  # up to Python 3.11: an object, and not a function
            before.enable()
        else:
            sys.setprofile(before)
        if collects:
            gc.enable()


@functools.lru_cache(maxsize=2**16)
def is_foreign_code(code: types.CodeType, module: str = "") -> bool:
    """Whether a code object belongs to no known library.

    Args:
        code: the code object.
        module: the name of the module whose globals it reads, for code that was made from a string.
    """
    return is_foreign_file(code.co_filename, module)


@functools.lru_cache(maxsize=2**12)
def is_foreign_file(file: str, module: str = "") -> bool:
    """Whether a source file belongs to no known library; ``<frozen ...>`` is Python's own."""
    if file.startswith("<frozen "):
        return False
    if file.startswith("<"):  # made from a string, as dataclasses' methods are
        return not (_is_known_name(module) or module.startswith("namedtuple_"))
    if file.startswith(_folders_of_libraries()):
        return False
    return not (file.startswith(_folders_of_python()) and not any(p in file for p in _OF_THIRD_PARTIES))


def is_foreign_class(cls: type) -> bool:
    """Whether a class was defined by no known library."""
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    if file is None:  # built in, or no module at all
        return not _is_known_name(cls.__module__)
    return is_foreign_file(file, cls.__module__)


def _is_known_name(module: str) -> bool:
    name = module.partition(".")[0]
    return name in _KNOWN or (name in sys.stdlib_module_names and name != "__main__")


@functools.cache
def _folders_of_libraries() -> tuple[str, ...]:
    found = (importlib.util.find_spec(name) for name in _KNOWN)
    places = (place for spec in found if spec is not None for place in spec.submodule_search_locations or ())
    return tuple(os.path.join(place, "") for place in places)


@functools.cache
def _folders_of_python() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple({os.path.join(paths[name], "") for name in ("stdlib", "platstdlib")})
