"""Which fields a class takes when it is made, where it does not say so in an ``__init__`` of its own.

In: the syntax tree of a class of Python. Out: the names of its fields, in their order; none for a class that
is no dataclass.
"""

from __future__ import annotations

import ast

_DECORATORS = frozenset({"dataclass", "define", "frozen", "mutable", "attrs"})
_BASES = frozenset({"NamedTuple", "BaseModel"})


def fields_of(node: ast.ClassDef) -> tuple[str, ...]:
    """The fields of a dataclass.

    Args:
        node: the class.

    Returns:
        their names.

    Example:
        >>> import ast
        >>> fields_of(ast.parse("@dataclass\\nclass Run:\\n    model: object\\n    rate: float").body[0])
        ('model', 'rate')
    """
    decorators = {_last_name(decorator) for decorator in node.decorator_list}
    bases = {_last_name(base) for base in node.bases}
    if not (decorators & _DECORATORS or bases & _BASES):
        return ()
    annotated = [item.target for item in node.body if isinstance(item, ast.AnnAssign)]
    return tuple(target.id for target in annotated if isinstance(target, ast.Name))


def _last_name(node: ast.expr) -> str:
    """``dataclass`` of ``@dataclasses.dataclass(frozen=True)``."""
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
