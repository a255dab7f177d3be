"""Whose code is it: a library's that Fairlane knows, or somebody else's?

In: a code object, a class, or a block in which code runs. Out: whether it is Keras's, JAX's, NumPy's, or of a
library below them; anything else is *foreign*: the user's, or of a package that Fairlane does not know.

What the known libraries read while a training step is traced is in Keras's own objects and configuration, and
`program.structure` walks all of that. Foreign code can read anything: globals, files, the clock.
"""

from __future__ import annotations

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
from typing import Any

_KNOWN = ("keras", "jax", "jaxlib", "numpy", "ml_dtypes", "optree", "opt_einsum", "absl", "fairlane")
_OF_THIRD_PARTIES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


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

    def notice(frame: types.FrameType, event: str, arg: Any) -> None:
        if event == "call" and is_foreign_code(frame.f_code, frame.f_globals.get("__name__", "")):
            witness.foreign = witness.foreign or frame.f_code.co_qualname

    before, collects = sys.getprofile(), gc.isenabled()
    gc.disable()  # the collector's callbacks and finalizers are somebody's code, but not the block's
    sys.setprofile(notice)
    try:
        yield witness
    finally:
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
