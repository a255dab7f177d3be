"""Going through forms: all that is in one, the functions it gives names to, and the words of names.

In: forms. Out: the forms in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import Any

from fairlane.check.forms import (
    Assign,
    Attribute,
    Block,
    Branch,
    Class,
    Form,
    Function,
    Loop,
    Name,
    Reference,
    Try,
    With,
)


@cache
def words_of(name: str) -> frozenset[str]:
    """The words of a name: of ``n_folds`` and of ``nFolds`` the two."""
    separate = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace(".", "_")
    return frozenset(word for word in separate.split("_") if word)


def last_name(function: Form) -> str:
    """The last name of what is called."""
    match function:
        case Name():
            return function.id
        case Attribute():
            return function.name
        case Reference():
            return re.split(r"[.:]", function.path)[-1]
    return ""


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind) if one.name != "at")


def children(form: Form) -> Iterator[Form]:
    """The forms that a form is made of."""
    for name in _fields(type(form).__mro__[0]):
        value = getattr(form, name)
        if isinstance(value, Form):
            yield value
        elif isinstance(value, tuple):
            for item in value:
                if isinstance(item, Form):
                    yield item
                elif isinstance(
                    inner := getattr(item, "value", None) or getattr(item, "default", None), Form
                ):
                    yield inner


def definitions(form: Form) -> Iterator[tuple[str, Function | Class]]:
    """The functions and classes that a program gives names to, also those inside others."""
    pending = [form]
    while pending:
        match pending.pop():
            case Assign(target=Name(id=name), value=Function() | Class() as value):
                yield name, value
                pending.append(value.body)
            case Block(items=inner) | Branch(options=inner):
                pending.extend(reversed(inner))
            case Function(body=body) | Class(body=body) | With(body=body) | Assign(value=body):
                pending.append(body)
            case Loop(body=body, otherwise=otherwise):
                pending.extend([body] if otherwise is None else [body, otherwise])
            case Try(body=body, handlers=handlers, final=final):
                pending.extend([final, *handlers, body])


def all_forms(form: Form) -> Iterator[Form]:
    """A form, and all that is in it."""
    pending = [form]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(children(current))
