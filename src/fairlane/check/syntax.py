"""What the syntax tree says of a class's fields, a function's own statements, and the module of an import.

In: nodes of the tree. Out: names, and other nodes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

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


def source_of(node: ast.ImportFrom) -> str:
    """The module that is imported from; one of the program's own begins with a dot."""
    return "." * node.level + (node.module or "")


def within_function(node: ast.AST) -> Iterable[ast.AST]:
    """All nodes of a statement, without those of the functions and classes defined in it."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        if not isinstance(current, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            pending.extend(ast.iter_child_nodes(current))
