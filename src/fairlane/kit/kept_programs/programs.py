"""A lowered program → a compiled one: loaded from the cache folder, or compiled and written to it.

`compiled` is sure: its key is the program that XLA gets. To trace and lower a program takes longer than to
load it, so a caller that can say what decides it gives an `origin`, by which it is `known` before that.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

import jax

from fairlane.kit.kept_programs.folder import Folder, cache_folder
from fairlane.kit.kept_programs.jax_private import (
    Request,
    can_answer,
    compile_with,
    compiled_from,
    here,
    knows_origins,
    recipe,
)

_ENVIRONMENT = ("XLA_FLAGS", "LIBTPU_INIT_ARGS", "PJRT_NPROC", "NPROC")
"""Variables that XLA reads."""

_OF_THE_PROCESSOR = ("model name", "flags", "Features", "CPU part")
"""Lines of Linux's ``/proc/cpuinfo`` that name the processor and its instruction sets."""


def origin(*parts: Any) -> str:
    """A key for a program that is not traced yet; to be made in the thread that would trace it.

    Args:
        parts: all of what decides the program and its compiler options, but for JAX and the machine.

    Returns:
        The key; empty where this JAX's programs can't be known so.
    """
    return "" if not knows_origins() else _key([("origin", repr(parts).encode()), *here(), *_machine()])


def known(origin: str) -> jax.stages.Compiled | None:
    """A program that was `compiled` from the same origin before, by this process or an earlier one.

    Args:
        origin: its `origin`.

    Returns:
        The program; None where it has to be traced, lowered and compiled.
    """
    folder = cache_folder() if origin else None
    kept = folder.read(origin, "recipe") if folder else None
    if folder is None or kept is None:
        return None
    try:
        key, how, rest = pickle.loads(kept)  # of a file that nobody else can have written
        payload = folder.read(key)
        return None if payload is None else compiled_from(rest, payload, how)
    except Exception:  # of another version of JAX, which its key did not tell
        return None


def compiled(
    lowered: jax.stages.Lowered, options: Mapping[str, Any] | None, origin: str = ""
) -> jax.stages.Compiled:
    """Compile a program, or load what an earlier process compiled.

    Args:
        lowered: the program.
        options: compiler options.
        origin: its `origin`, so that it is `known` later; or empty.
    """
    folder = cache_folder()
    if folder is None or not can_answer(lowered):
        return lowered.compile(compiler_options=options)

    # The text has all constants of the program, and no places in source files, which do not matter. `answer`
    # holds its digest only: JAX holds `answer` while the program lives, so it must not hold the program.
    program = hashlib.sha256(lowered.as_text().encode()).digest()

    found: list[tuple[str, Any]] = []

    def answer(request: Request) -> Any:
        key = _key([("program", program), *request.parts(), *_machine()])
        found.append((key, request.how()))
        return _loaded(request, folder.read(key)) or _compiled(request, folder, key)

    result = compile_with(lowered, options, answer)
    if origin and found:
        _keep_recipe(folder, origin, found[-1], result)
    return result


def _keep_recipe(folder: Folder, key: str, found: tuple[str, Any], program: jax.stages.Compiled) -> None:
    """Keep what is needed to find a program again by a key, where JAX can write it."""
    try:
        payload = pickle.dumps((*found, recipe(program)))
    except Exception:  # a part of it can't be pickled: later processes trace it
        return
    folder.write(key, payload, "recipe")


def _loaded(request: Request, payload: bytes | None) -> Any:
    """The executable of a file, or None where there is none, or XLA can't read it."""
    try:
        return None if payload is None else request.load(payload)
    except Exception:
        return None


def _compiled(request: Request, folder: Folder, key: str) -> Any:
    executable = request.compile()
    payload = request.dump(executable)
    if payload is not None:
        folder.write(key, payload)
    return executable


def _key(parts: Iterable[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, value in parts:
        digest.update(f"{name} {len(value)} ".encode())
        digest.update(value)
    return digest.hexdigest()


def _machine() -> Iterable[tuple[str, bytes]]:
    """What else decides what the compiler makes: versions, flags, and what the processor can do."""
    yield "versions", f"{jax.__version__} {version('jaxlib')}".encode()
    yield "environment", repr([(name, os.environ.get(name)) for name in _ENVIRONMENT]).encode()
    yield "processor", _processor().encode()
    # XLA divides work on the CPU by the threads it has.
    yield "threads", str(_threads()).encode()


@functools.cache
def _processor() -> str:
    """The processor and its instruction sets: a home folder may be shared by machines that differ."""
    known = f"{platform.machine()} {platform.processor()}"
    try:
        with open("/proc/cpuinfo") as lines:
            found = {
                line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))
            }
    except OSError:
        return known
    return "".join([known, *sorted(found)])


def _threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
