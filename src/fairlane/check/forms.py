"""The intermediate form: what a program does, whichever language it is written in.

In: nothing; the front ends (`python`, `r`) build these values. Out: a tree that `interpret` walks; no one
changes it, and it is not frozen only since that is slow to build. It has just what the rules need: names,
calls, functions, classes, loops, branches. Everything else a language can say becomes an `Operation` on its
parts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class At(NamedTuple):
    """A place in the text: lines and columns from 1, columns in characters, the end exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


NOWHERE = At(1, 1, 1, 1)


@dataclass(slots=True, eq=False)
class Form:
    """What all forms have: their place. Forms are compared by identity: they are keys, and deep."""

    at: At


@dataclass(slots=True, eq=False)
class Name(Form):
    """A variable that is read, or the target of an assignment."""

    id: str


@dataclass(slots=True, eq=False)
class Constant(Form):
    """A number, a text, a truth value or none."""

    value: object


@dataclass(slots=True, eq=False)
class Reference(Form):
    """Something of another module, by its full name: ``keras.layers.Dense``."""

    path: str


@dataclass(slots=True, eq=False)
class Attribute(Form):
    """``of.name``; in R, ``of$name``."""

    of: Form
    name: str


@dataclass(slots=True, eq=False)
class Index(Form):
    """``of[key]``; in R, ``of[[key]]``."""

    of: Form
    key: Form


@dataclass(slots=True)
class Argument:
    """An argument of a call; ``spread`` for ``*values`` and ``**values``."""

    value: Form
    name: str | None = None
    spread: bool = False


@dataclass(slots=True, eq=False)
class Call(Form):
    """A call; pipes are calls too."""

    function: Form
    arguments: tuple[Argument, ...]


@dataclass(slots=True)
class Parameter:
    """A parameter of a function; ``rest`` for those that take what is left over."""

    name: str
    default: Form | None = None
    rest: bool = False
    annotation: Form | None = None


@dataclass(slots=True, eq=False)
class Function(Form):
    """A function, with or without a name. Its value is its last expression where ``implicit``."""

    name: str
    parameters: tuple[Parameter, ...]
    body: Form
    implicit: bool = False
    generator: bool = False
    outer: frozenset[str] = frozenset()
    decorators: tuple[Form, ...] = ()


@dataclass(slots=True, eq=False)
class Class(Form):
    """A class; ``fields`` are those that a dataclass takes when it is made, in their order."""

    name: str
    bases: tuple[Form, ...]
    body: Form
    fields: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Group(Form):
    """A list or a tuple; in R, ``list(...)`` and ``c(...)``. Items may be spread."""

    items: tuple[Argument, ...]


@dataclass(slots=True, eq=False)
class Record(Form):
    """A dictionary. A key is None where another dictionary is spread into it."""

    keys: tuple[Form | None, ...]
    values: tuple[Form, ...]


@dataclass(slots=True, eq=False)
class Operation(Form):
    """Anything computed from its parts."""

    operator: str
    parts: tuple[Form, ...]


@dataclass(slots=True, eq=False)
class Block(Form):
    """Statements in their order. The value is the last one's."""

    items: tuple[Form, ...]


@dataclass(slots=True, eq=False)
class Branch(Form):
    """One of the options runs; which one is not known."""

    tests: tuple[Form, ...]
    options: tuple[Form, ...]


@dataclass(slots=True, eq=False)
class Assign(Form):
    """``target = value``; ``outer`` for R's ``<<-``."""

    target: Form
    value: Form
    outer: bool = False


@dataclass(slots=True, eq=False)
class Loop(Form):
    """A loop; ``collects`` where it gives the list of its body's values, as comprehensions do."""

    target: Form | None
    over: Form | None
    body: Form
    otherwise: Form | None = None
    collects: bool = False


@dataclass(slots=True, eq=False)
class Return(Form):
    """Leave the function with a value."""

    value: Form | None


@dataclass(slots=True, eq=False)
class Leave(Form):
    """``break``, ``continue`` or ``raise``."""

    kind: str


@dataclass(slots=True, eq=False)
class With(Form):
    """A block under a context manager."""

    context: Form
    target: Form | None
    body: Form


@dataclass(slots=True, eq=False)
class Try(Form):
    """A block, what is done where it fails, and what is done in the end."""

    body: Form
    handlers: tuple[Form, ...]
    final: Form


@dataclass(slots=True, eq=False)
class StarImport(Form):
    """``from module import *``."""

    module: str


@dataclass(frozen=True, slots=True)
class Program:
    """A whole file of one language."""

    body: Form
    language: str
    lines: tuple[str, ...] = field(repr=False, default=())
