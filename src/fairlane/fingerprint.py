"""What was asked of a study, as plain data that can be kept and compared with what is asked later.

In: ``compare``'s arguments. Out: a spec, a dict of JSON data in sections (``model``, ``data``, ``arguments``,
``callbacks``), and the words for how two of them differ. And for hyperparameters, which tell trials apart: a
description that is the same in every process for the same value.
"""

from __future__ import annotations

import ast
import difflib
import dis
import functools
import hashlib
import inspect
import json
import re
import textwrap
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from fairlane import _keras
from fairlane.trial import short

_DATA = ("x", "y", "sample_weight", "validation_data", "test_data")
_PLAIN = (str, int, float, bool, type(None), bytes)
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_NUMBERED = re.compile(r"_\d+$")
_LINES = 12
"""Lines of a difference that are shown."""

Spec = dict[str, Any]


def spec(model: Any, common: Mapping[str, Any], callbacks: Any) -> Spec:
    """What was asked, but for the variants, seeds and epochs, which may grow.

    Args:
        model: a builder or a template.
        common: ``Model.fit``'s arguments that are the same for all trials, data among them.
        callbacks: ``compare``'s argument.
    """
    arguments = {k: v for k, v in common.items() if k not in (*_DATA, "epochs") and v is not None}
    return {
        "model": _template(model) if isinstance(model, keras.Model) else source(model),
        "data": {name: _data(common[name]) for name in _DATA if common.get(name) is not None},
        "arguments": {name: _argument(value) for name, value in sorted(arguments.items())},
        "callbacks": _callbacks(callbacks),
    }


def differences(before: Spec, now: Spec) -> str:
    """How two specs differ, a paragraph per section; empty where they do not.

    Example:
        >>> print(differences({"data": {"x": "float32 (8, 2)"}}, {"data": {"x": "float32 (9, 2)"}}))
        data, x:
            - float32 (8, 2)
            + float32 (9, 2)
    """
    return "\n".join(_differing(before, now))


def _differing(before: Any, now: Any, where: tuple[str, ...] = ()) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys((*before, *now)):
            yield from _differing(before.get(key, ""), now.get(key, ""), (*where, str(key)))
    elif before != now:
        old, new = (_lines(value) for value in (before, now))
        changed = [
            line.rstrip()
            for line in difflib.ndiff(old, new)
            if line[:2] in ("- ", "+ ") and line.strip() not in ("-", "+")
        ]
        more = [f"... and {len(changed) - _LINES} more lines"] if len(changed) > _LINES else []
        yield "\n    ".join([f"{', '.join(where)}:", *changed[:_LINES], *more])


def _lines(value: Any) -> list[str]:
    text = value if isinstance(value, str) else json.dumps(value, indent=1)
    return text.splitlines()


# Functions


def source(function: Any) -> dict[str, str]:
    """A function's name and text, with those of its module that it calls, and the constants that it reads.

    Args:
        function: a function, class, ``functools.partial`` or other callable.

    Returns:
        Name → text. Where there is no text (a program typed in, or compiled), a hash of the code.
    """
    found: dict[str, str] = {}
    _look_into(function, found, set())
    return found


def _look_into(function: Any, found: dict[str, str], seen: set[int]) -> None:
    function = inspect.unwrap(function) if callable(function) else function
    if id(function) in seen:
        return
    seen.add(id(function))
    if isinstance(function, functools.partial):
        _look_into(function.func, found, seen)
        found["partial"] = json.dumps(
            [[described(a) for a in function.args], {k: described(v) for k, v in function.keywords.items()}]
        )
        return
    bare = function.__func__ if isinstance(function, types.MethodType) else function
    if not isinstance(bare, types.FunctionType | type):
        found[type(bare).__qualname__] = _text(type(bare)) or _ADDRESS.sub("", repr(bare))
        call = vars(type(bare)).get("__call__")
        if isinstance(call, types.FunctionType):
            _look_into(call, found, seen)
        return
    code = getattr(bare, "__code__", None)
    found[bare.__qualname__] = _text(bare) or (f"code {_code(code)}" if code else bare.__qualname__)
    if isinstance(bare, types.FunctionType):
        for name, value in _read_by(bare):
            if _is_constant(value):
                found[f"{bare.__qualname__}, {name}"] = repr(value)
            elif _is_of(value, bare.__module__):
                _look_into(value, found, seen)


def _text(thing: Any) -> str:
    """The source without comments and layout, which change nothing; empty where there is none."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    except (OSError, TypeError, SyntaxError):
        return ""
    if getattr(thing, "__name__", "") != "<lambda>":
        return ast.unparse(tree)
    # The source of a lambda is the whole statement around it, with much that is none of its business.
    lambdas = [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]
    return ast.unparse(lambdas[0]) if len(lambdas) == 1 else ""


def _code(code: types.CodeType) -> str:
    parts: list[Any] = [code.co_code, code.co_names]
    parts += [_code(c) if isinstance(c, types.CodeType) else described(c) for c in code.co_consts]
    return _hash(repr(parts).encode())


def _read_by(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """The globals and outer variables that a function reads and does not set, and its defaults."""
    steps = list(_instructions(function.__code__))
    stored = {step.argval for step in steps if step.opname.startswith("STORE_")}
    names = {step.argval for step in steps if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for name in sorted(n for n in names - stored if n in function.__globals__):
        yield name, function.__globals__[name]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name not in stored:
            try:
                yield name, cell.cell_contents
            except ValueError:
                continue  # not assigned yet
    for name, value in (function.__kwdefaults__ or {}).items():
        yield f"default {name}", value
    for i, value in enumerate(function.__defaults__ or ()):
        yield f"default {i}", value


def _instructions(code: types.CodeType) -> Iterator[dis.Instruction]:
    yield from dis.get_instructions(code)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _instructions(constant)


def _is_constant(value: Any) -> bool:
    return isinstance(value, _PLAIN) or (isinstance(value, tuple) and all(map(_is_constant, value)))


def _is_of(value: Any, module: str) -> bool:
    return isinstance(value, types.FunctionType | type) and getattr(value, "__module__", None) == module


# Templates, data, arguments, callbacks


def _template(model: keras.Model) -> dict[str, Any]:
    """The architecture and compile arguments, and what preprocessing layers adapted.

    Weights do not belong to it: a template's trials draw their own.
    """
    layers = [layer for layer in _keras.all_layers(model) if hasattr(layer, "adapt")]
    adapted = [_array(keras.ops.convert_to_numpy(v)) for layer in layers for v in layer.variables]
    return {"config": _config(model), "adapted": adapted}


def _config(thing: Any) -> Any:
    """Keras's config, without the numbers that Keras counts names with in a session."""
    return _uncounted(json.loads(json.dumps(keras.saving.serialize_keras_object(thing), default=described)))


def _uncounted(value: Any) -> Any:
    if isinstance(value, list):
        return [_uncounted(item) for item in value]
    if isinstance(value, dict):
        return {k: _uncounted(v) for k, v in value.items()}
    return _NUMBERED.sub("", value) if isinstance(value, str) else value


def _data(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _data(item) for key, item in value.items()}
    if isinstance(value, list | tuple) and not (value and isinstance(value[0], int | float)):
        return {str(i): _data(item) for i, item in enumerate(value)}
    if value is None or isinstance(value, list | tuple) or _keras.is_array_data(value):
        return None if value is None else _array(value)
    size = getattr(value, "num_batches", None)
    return f"a {type(value).__qualname__}" + (f" of {size} batches" if isinstance(size, int) else "")


def _array(value: Any) -> str:
    array = value if isinstance(value, np.ndarray) else _as_array(value)
    if array.dtype.hasobject:
        digest = _hash(repr(array.tolist()).encode())
    else:
        digest = _hash(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return f"{array.dtype} {array.shape}, SHA-256 {digest}"


def _as_array(value: Any) -> np.ndarray[Any, Any]:
    return np.asarray(keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else value)


def _argument(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): described(item) for key, item in value.items()}
    return described(value)


def _callbacks(callbacks: Any) -> Any:
    if callbacks is None or callbacks == []:
        return "none"
    if isinstance(callbacks, keras.callbacks.Callback):
        callbacks = [callbacks]
    if isinstance(callbacks, list | tuple):
        return {f"{i}, {type(c).__qualname__}": _attributes(c) for i, c in enumerate(callbacks)}
    return source(callbacks)


def _attributes(callback: Any) -> dict[str, str]:
    return {
        name: described(value)
        for name, value in sorted(vars(callback).items())
        if not name.startswith("_") and (_is_constant(value) or callable(value))
    }


# Hyperparameters and other values


def described(value: Any) -> str:
    """A value as text that is the same in every process, and different for different values.

    Example:
        >>> described(0.1), described([1, "a"]), described({"b", "a"})
        ('0.1', "[1, 'a']", "{'a', 'b',}")
    """
    if _is_constant(value):
        return repr(value)
    if isinstance(value, list | tuple | dict):
        return _described_container(value)
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(map(described, value))) + ",}"  # their order changes with the process
    if isinstance(value, np.ndarray | np.generic):
        return _array(np.asarray(value))
    if isinstance(value, types.FunctionType | type | functools.partial | types.MethodType):
        return f"{short(value)} {_hash(json.dumps(source(value)).encode())}"
    if hasattr(value, "get_config"):
        try:
            return f"{type(value).__qualname__} {_hash(json.dumps(_config(value), sort_keys=True).encode())}"
        except Exception:  # a config of the user's own; its repr has to do
            return _ADDRESS.sub("", repr(value))
    return _ADDRESS.sub("", repr(value))


def _described_container(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{described(k)}: {described(v)}" for k, v in value.items()) + "}"
    inside = ", ".join(described(item) for item in value)
    return f"[{inside}]" if isinstance(value, list) else f"({inside},)"


def key(hyperparameters: Mapping[str, Any], seed: int | None = None) -> str:
    """What tells a trial, or without seed a variant, from all others of its study: a hash.

    Example:
        >>> key({"lr": 0.1, "units": 8}, 0) == key({"units": 8, "lr": 0.1}, 0)
        True
        >>> key({"units": 8}) == key({"units": 8.0})
        False
    """
    parts: Sequence[Any] = [[name, described(hyperparameters[name])] for name in sorted(hyperparameters)]
    return hashlib.sha256(json.dumps([parts, seed]).encode()).hexdigest()


def _hash(data: Any) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
