"""A function → its text, and what it reads from outside of itself.

In: a Python function or class. Out: its source without comments and layout, or a digest of its code; and the
globals, outer variables, defaults and attributes that its value may depend on. What is read in other ways
(by a name that is made up when it runs, from environment variables, from files) can't be seen here.
"""

from __future__ import annotations

import ast
import dis
import functools
import hashlib
import importlib.util
import inspect
import textwrap
import tokenize
import types
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from typing import Any

from fairlane.kit.libraries import is_installed

_ONLY_ADD = frozenset({"append", "appendleft", "extend", "add", "insert", "update"})
_KNOWN = 1024
"""Functions and classes whose text is remembered: each is read once, and not once per trial."""
_COLLECTED = (list, set, dict, deque, Counter, defaultdict, int, float)


# Texts


def text(thing: types.FunctionType | type) -> str:
    """The source without comments and layout, which change nothing; empty where it is not available."""
    return _text(thing.__code__ if isinstance(thing, types.FunctionType) else thing)


@functools.lru_cache(_KNOWN)
def _text(code: types.CodeType | type) -> str:
    name = code.co_name if isinstance(code, types.CodeType) else ""
    tree = _tree(code)
    if tree is None:
        return ""
    if name != "<lambda>":
        return ast.unparse(tree)
    # The source of a lambda is the whole statement around it, with more than the lambda.
    lambdas = [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]
    return ast.unparse(lambdas[0]) if len(lambdas) == 1 else ""


def _tree(thing: Any) -> ast.Module | None:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(thing)))
    except (OSError, TypeError, SyntaxError, ValueError, tokenize.TokenError):
        return None  # there is no source, or what stands at its place in the file is something else


@functools.lru_cache(_KNOWN)
def methods_in(text_of_class: str) -> frozenset[str]:
    """The texts of all functions in the text of a class."""
    tree = ast.parse(text_of_class)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    return frozenset(ast.unparse(node) for node in ast.walk(tree) if isinstance(node, kinds))


def digest(code: types.CodeType) -> str:
    """A hash of what code does, without where it stands; the same in every process of one Python."""
    return hashlib.sha256(repr(_parts(code)).encode()).hexdigest()[:32]


def _parts(code: types.CodeType) -> list[Any]:
    return [code.co_code, code.co_names, [_constant(constant) for constant in code.co_consts]]


def _constant(value: Any) -> Any:
    if isinstance(value, types.CodeType):
        return _parts(value)
    if isinstance(value, tuple):
        return tuple(map(_constant, value))
    return sorted(map(repr, value)) if isinstance(value, frozenset) else value


# What is read


def reads(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Name → value of what a function reads: globals, outer variables, defaults, its own attributes.

    What it only adds to (``calls.append(1)``, ``count += 1``) or sets before all else is left out: it can't
    change what the function gives. Of modules of the program's own, it is the names in them that are read.
    """
    written = _only_written(function.__code__)
    yield from outside(function)
    for name, value in closure(function).items():
        if not (name in written and isinstance(value, _COLLECTED)):
            yield from _unfolded(name, value, _words(function.__code__))
    for name, value in defaults(function).items():
        yield name, value
    for name, value in sorted(vars(function).items()):
        if name != "__wrapped__":
            yield f"attribute {name}", value


def outside(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Of what a function reads, the globals, and what it imports."""
    written, words = _only_written(function.__code__), _words(function.__code__)
    names: Iterable[str] = _globals_in(function.__code__)
    if "globals" in names:  # then it may read any that it has the name of
        names = sorted({*names, *words})
    for name in names:
        if name in function.__globals__:
            value = function.__globals__[name]
            if not (name in written and isinstance(value, _COLLECTED)):
                yield from _unfolded(name, value, words)
    for module in _imported(function):
        yield from _unfolded(module.__name__, module, words)


def closure(function: types.FunctionType) -> dict[str, Any]:
    """The outer variables of a function that have values."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue  # not assigned yet
    return found


def defaults(function: types.FunctionType) -> dict[str, Any]:
    """The defaults of a function's parameters."""
    found = {f"default {name}": value for name, value in (function.__kwdefaults__ or {}).items()}
    return found | {f"default {i}": value for i, value in enumerate(function.__defaults__ or ())}


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """A function's code, and that of the functions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


@functools.lru_cache(_KNOWN)
def _words(code: types.CodeType) -> list[str]:
    """All names of globals and attributes in a function's code, and its texts, which may name them too."""
    texts = {text for one in _codes(code) for text in one.co_consts if isinstance(text, str)}
    return sorted({name for one in _codes(code) for name in one.co_names} | texts)


@functools.lru_cache(_KNOWN)
def _globals_in(code: types.CodeType) -> list[str]:
    steps = (step for one in _codes(code) for step in dis.get_instructions(one))
    return sorted({str(step.argval) for step in steps if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")})


def _unfolded(name: str, value: Any, words: list[str]) -> Iterator[tuple[str, Any]]:
    """A value that is read; of a module of the user's own, those of its names that the code mentions."""
    pending, seen = [(name, value)], set()
    while pending:
        name, value = pending.pop(0)
        if not isinstance(value, types.ModuleType) or is_installed(value.__name__):
            yield name, value
        elif id(value) not in seen:
            seen.add(id(value))
            there = vars(value)
            pending += [(f"{name}.{word}", there[word]) for word in words if word in there]


def _imported(function: types.FunctionType) -> Iterator[types.ModuleType]:
    """The modules of the user's own that a function imports when it is called."""
    package = function.__globals__.get("__package__") or ""
    for name, level in _imports_in(function.__code__):
        module = _import(name, level, package)
        if module is not None:
            yield module


@functools.lru_cache(_KNOWN)
def _imports_in(code: types.CodeType) -> list[tuple[str, int]]:
    """Names of modules, each with how many packages up they are looked for."""
    found: list[tuple[str, int]] = []
    for one in _codes(code):
        previous: list[Any] = [None, None]
        for step in dis.get_instructions(one):
            if step.opname == "IMPORT_NAME":
                found.append((str(step.argval), previous[-2] if isinstance(previous[-2], int) else 0))
            previous = [previous[-1], step.argval]
    return found


def _import(name: str, level: int, package: str) -> types.ModuleType | None:
    try:
        absolute = importlib.util.resolve_name("." * level + name, package or None)
        return None if is_installed(absolute) else importlib.import_module(absolute)
    except Exception:  # it is missing, or its code raises: a call of the function raises the same
        return None


# What is only written


def only_written(function: types.FunctionType) -> frozenset[str]:
    """Names from outside that a function only adds to, or sets before all else."""
    return _only_written(function.__code__)


@functools.lru_cache(_KNOWN)
def _only_written(code: types.CodeType) -> frozenset[str]:
    tree = _tree(code)
    if tree is None or code.co_name == "<lambda>":
        return frozenset()
    all_of: Counter[str] = Counter()
    harmless: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            all_of[node.id] += 1
        target = _written_by(node)
        if target is not None:
            harmless[target] += 1
    written = {name for name, count in harmless.items() if all_of[name] == count}
    return frozenset(written | _set_first(tree))


def _written_by(node: ast.AST) -> str | None:
    """The name that a statement adds to or sets an item of, without looking at it for anything else."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        called = node.value.func
        if isinstance(called, ast.Attribute) and called.attr in _ONLY_ADD:
            return called.value.id if isinstance(called.value, ast.Name) else None
        return None
    if isinstance(node, ast.AugAssign):
        return _name_of(node.target)
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        return _name_of(node.targets[0])
    return None


def _name_of(target: ast.expr) -> str | None:
    inner = target.value if isinstance(target, ast.Subscript) else target
    return inner.id if isinstance(inner, ast.Name) else None


def _set_first(tree: ast.Module) -> set[str]:
    """The globals that a function sets before it reads them, whatever happens."""
    found: set[str] = set()
    function = tree.body[0]
    if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
        return found
    stated = {n for node in function.body if isinstance(node, ast.Global | ast.Nonlocal) for n in node.names}
    for name in stated:
        for node in function.body:
            mentioned = sum(isinstance(n, ast.Name) and n.id == name for n in ast.walk(node))
            if mentioned:
                plain = isinstance(node, ast.Assign) and mentioned == 1
                if plain and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):  # type: ignore[attr-defined]
                    found.add(name)
                break
    return found
