"""The front end for Python.

In: the text of a Python program. Out: its `forms.Program`, or a `SyntaxError`. Nothing is imported or run.
"""

from __future__ import annotations

import ast
import re
import symtable
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from fairlane.check import python2
from fairlane.check.forms import (
    NOWHERE,
    Argument,
    Assign,
    At,
    Attribute,
    Block,
    Branch,
    Call,
    Class,
    Constant,
    Form,
    Function,
    Group,
    Index,
    Leave,
    Loop,
    Name,
    Operation,
    Parameter,
    Program,
    Record,
    Reference,
    Return,
    StarImport,
    Try,
    With,
)
from fairlane.check.syntax import fields_of, source_of, within_function

_COMPARISONS = {ast.Eq: "==", ast.NotEq: "!=", ast.In: "in", ast.NotIn: "not in", ast.Is: "is"}
_COMPARISONS |= {ast.IsNot: "is not"}

DEEPEST = 150
"""How deep expressions may nest before what is below counts as unknown."""


def parse(text: str) -> Program:
    """A Python program as forms.

    Args:
        text: the program; ``await`` may stand at its top level, as it may in notebooks.

    Returns:
        the program.

    Raises:
        SyntaxError: it is not Python of this interpreter's version.
    """
    tree = _tree(text)
    lines = tuple(text.split("\n"))
    return Program(_Lowering(text, lines).block(tree.body), "python", lines)


def complaint(text: str) -> SyntaxError | None:
    """Why a text is not Python; None where it is.

    Args:
        text: a program, or a piece of one.

    Returns:
        what is wrong; of Python 2 it says that it is.

    Example:
        >>> complaint("print 'hello'").msg
        'this is Python 2 (`print` without parentheses), and Python 3 is what can be read'
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            symtable.symtable(text, "<checked>", "exec")  # faster: it makes no objects of the tree
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        try:
            _tree(text)
        except SyntaxError as error:
            return error
    return None


def _tree(text: str) -> ast.Module:
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "\d" in a string is not what this checks
        try:
            tree = compile(text, "<checked>", "exec", flags, dont_inherit=True)
        except SyntaxError as error:
            if (sign := python2.sign(text, error)) is None:
                raise
            message = f"this is Python 2 ({sign}), and Python 3 is what can be read"
            raise SyntaxError(message, ("", error.lineno, error.offset, None)) from None
        except (RecursionError, MemoryError):
            raise SyntaxError("nested too deeply to be read") from None
        except ValueError as error:
            raise SyntaxError(str(error)) from None
    assert isinstance(tree, ast.Module)
    return tree


_new = tuple.__new__  # a quarter of the time that At(...) takes, and there are many places


class _Lowering:
    """From Python's syntax tree to forms."""

    def __init__(self, text: str, lines: Sequence[str]) -> None:
        self.lines = lines
        self.is_ascii = text.isascii()
        self.has_special = re.search(r"\b(?:yield|global|nonlocal)\b", text) is not None
        self.depth = 0

    def at(self, node: Any) -> At:
        """The place of a node. Python counts bytes from 0; people count characters from 1."""
        try:
            line, end_line = node.lineno, node.end_lineno or node.lineno
            start, end = node.col_offset, node.end_col_offset or 0
        except AttributeError:
            return NOWHERE
        if self.is_ascii:
            return _new(At, (line, start + 1, end_line, end + 1))
        return At(line, self._column(line, start), end_line, self._column(end_line, end))

    def _column(self, line: int, offset: int) -> int:
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        return len(text.encode()[:offset].decode("utf-8", "replace")) + 1

    # Statements

    def block(self, nodes: Iterable[ast.stmt]) -> Block:
        items = tuple(form for node in nodes for form in self.statement(node))
        return Block(items[0].at if items else NOWHERE, items)

    def statement(self, node: ast.stmt) -> list[Form]:
        self.depth += 1
        try:
            if self.depth > DEEPEST:
                return []
            return self._statement(node)
        finally:
            self.depth -= 1

    def _statement(self, node: ast.stmt) -> list[Form]:
        at = self.at(node)
        match node:
            case ast.Expr():
                return [self.expression(node.value)]
            case ast.Assign():
                return self.assignment(node)
            case ast.AnnAssign():
                value = node.value
                return [] if value is None else [Assign(at, self.target(node.target), self.expression(value))]
            case ast.AugAssign():
                old, change = self.expression(node.target), self.expression(node.value)
                return [
                    Assign(at, self.target(node.target), Operation(at, _operator(node.op), (old, change)))
                ]
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return [Assign(at, Name(at, node.name), self.function(node))]
            case ast.ClassDef():
                bases = tuple(self.expression(base) for base in node.bases)
                made = Class(at, node.name, bases, self.block(node.body), fields_of(node))
                return [Assign(at, Name(at, node.name), made)]
            case ast.Return():
                return [Return(at, None if node.value is None else self.expression(node.value))]
            case ast.Import() | ast.ImportFrom():
                return self.imports(node)
            case ast.Break():
                return [Leave(at, "break")]
            case ast.Continue():
                return [Leave(at, "continue")]
            case ast.Raise():
                parts = tuple(self.expression(p) for p in (node.exc, node.cause) if p is not None)
                return [Operation(at, "raise", parts), Leave(at, "raise")]
            case ast.Delete():
                return [Assign(at, self.target(target), Operation(at, "del", ())) for target in node.targets]
            case ast.Assert():
                return [Operation(at, "assert", (self.expression(node.test),))]
            case _:
                return self.compound(node)

    def compound(self, node: ast.stmt) -> list[Form]:
        at = self.at(node)
        match node:
            case ast.For() | ast.AsyncFor():
                over, target = self.expression(node.iter), self.target(node.target)
                return [Loop(at, target, over, self.block(node.body), self.block(node.orelse))]
            case ast.While():
                body = self.block(node.body)
                test = self.expression(node.test)
                return [
                    Loop(at, None, None, Block(at, (test, *body.items)), self.block(node.orelse)),
                ]
            case ast.If():
                test = self.expression(node.test)
                return [Branch(at, (test,), (self.block(node.body), self.block(node.orelse)))]
            case ast.With() | ast.AsyncWith():
                inner: Form = self.block(node.body)
                for item in reversed(node.items):
                    bound = None if item.optional_vars is None else self.target(item.optional_vars)
                    inner = With(at, self.expression(item.context_expr), bound, inner)
                return [inner]
            case ast.Try() | ast.TryStar():
                main = self.block([*node.body, *node.orelse])
                handlers = tuple(self.block(handler.body) for handler in node.handlers)
                return [Try(at, main, handlers, self.block(node.finalbody))]
            case ast.Match():
                subject = self.expression(node.subject)
                options = [self.case(case) for case in node.cases]
                return [Branch(at, (subject,), (*options, Block(at, ())))]
        return []

    def case(self, case: ast.match_case) -> Block:
        """A case of ``match``: what its pattern captures is unknown."""
        at = self.at(case.pattern)
        named = [getattr(n, "name", None) or getattr(n, "rest", None) for n in ast.walk(case.pattern)]
        bound = tuple(Assign(at, Name(at, name), Operation(at, "match", ())) for name in named if name)
        return Block(at, (*bound, *self.block(case.body).items))

    def assignment(self, node: ast.Assign) -> list[Form]:
        """``a = b = value`` gives the value its first name, and makes the others names of that one."""
        at, value = self.at(node), self.expression(node.value)
        first, *others = (self.target(target) for target in node.targets)
        forms: list[Form] = [Assign(at, first, value)]
        again = first if isinstance(first, Name) else value
        return [*forms, *(Assign(at, other, again) for other in others)]

    def imports(self, node: ast.Import | ast.ImportFrom) -> list[Form]:
        at = self.at(node)
        forms: list[Form] = []
        for alias in node.names:
            if isinstance(node, ast.Import):
                name = alias.asname or alias.name.partition(".")[0]
                path = alias.name if alias.asname else name
            elif alias.name == "*":
                forms.append(StarImport(at, source_of(node)))
                continue
            else:
                name, path = alias.asname or alias.name, f"{source_of(node)}.{alias.name}"
            forms.append(Assign(at, Name(at, name), Reference(at, path)))
        return forms

    def target(self, node: ast.expr) -> Form:
        """What is assigned to; a form whose names are bound."""
        at = self.at(node)
        match node:
            case ast.Tuple() | ast.List():
                return Group(at, tuple(self.target_item(item) for item in node.elts))
            case ast.Starred():
                return self.target(node.value)
            case _:
                return self.expression(node)

    def target_item(self, node: ast.expr) -> Argument:
        return Argument(self.target(node), spread=isinstance(node, ast.Starred))

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Function:
        nodes = node.body if self.has_special and self.is_special(node) else ()
        inside = [child for statement in nodes for child in within_function(statement)]
        outer = {n for child in inside if isinstance(child, ast.Global | ast.Nonlocal) for n in child.names}
        return Function(
            self.at(node),
            node.name,
            self.parameters(node.args),
            self.block(node.body),
            generator=any(isinstance(child, ast.Yield | ast.YieldFrom) for child in inside),
            outer=frozenset(outer),
            decorators=tuple(self.expression(decorator) for decorator in node.decorator_list),
        )

    def is_special(self, node: ast.stmt) -> bool:
        """Whether the words that matter to a function's own statements stand in its lines."""
        lines = self.lines[node.lineno - 1 : node.end_lineno]
        return any("yield" in line or "global" in line or "nonlocal" in line for line in lines)

    def parameters(self, args: ast.arguments) -> tuple[Parameter, ...]:
        positional = [*args.posonlyargs, *args.args]
        defaults: list[ast.expr | None] = [None] * (len(positional) - len(args.defaults))
        defaults += args.defaults
        pairs = [*zip(positional, defaults, strict=True)]
        found = [self.parameter(a, d) for a, d in pairs]
        if args.vararg:
            found.append(Parameter(args.vararg.arg, rest=True))
        for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True):
            found.append(self.parameter(a, d))
        if args.kwarg:
            found.append(Parameter(args.kwarg.arg, rest=True))
        return tuple(found)

    def parameter(self, arg: ast.arg, default: ast.expr | None) -> Parameter:
        value = None if default is None else self.expression(default)
        annotation = None if arg.annotation is None else self.expression(arg.annotation)
        return Parameter(arg.arg, value, annotation=annotation)

    # Expressions

    def expression(self, node: ast.expr) -> Form:
        self.depth += 1
        try:
            if self.depth > DEEPEST:
                return Operation(self.at(node), "...", ())
            return self._expression(node)
        finally:
            self.depth -= 1

    def _expression(self, node: ast.expr) -> Form:
        at = self.at(node)
        match node:
            case ast.Name():
                return Name(at, node.id)
            case ast.Constant():
                return Constant(at, node.value)
            case ast.Attribute():
                return Attribute(at, self.expression(node.value), node.attr)
            case ast.Subscript():
                return Index(at, self.expression(node.value), self.expression(node.slice))
            case ast.Call():
                return Call(at, self.expression(node.func), self.arguments(node))
            case ast.List() | ast.Tuple() | ast.Set():
                return Group(at, tuple(self.item(item) for item in node.elts))
            case ast.Dict():
                keys = tuple(None if key is None else self.expression(key) for key in node.keys)
                return Record(at, keys, tuple(self.expression(value) for value in node.values))
            case ast.Lambda():
                body = self.expression(node.body)
                return Function(at, "lambda", self.parameters(node.args), body, implicit=True)
            case ast.IfExp():
                options = (self.expression(node.body), self.expression(node.orelse))
                return Branch(at, (self.expression(node.test),), options)
            case ast.BinOp():
                parts = (self.expression(node.left), self.expression(node.right))
                return Operation(at, _operator(node.op), parts)
            case ast.Compare():
                sides = tuple(self.expression(part) for part in (node.left, *node.comparators))
                return Operation(at, _COMPARISONS.get(type(node.ops[0]), "compare"), sides)
            case ast.UnaryOp():
                return Operation(at, type(node.op).__name__, (self.expression(node.operand),))
            case ast.NamedExpr():
                return Assign(at, self.target(node.target), self.expression(node.value))
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                return self.comprehension(at, node.generators, self.expression(node.elt))
            case ast.DictComp():
                body = Block(at, (self.expression(node.key), self.expression(node.value)))
                return Operation(at, "dict", (self.comprehension(at, node.generators, body),))
            case ast.Starred() | ast.Await():
                return self.expression(node.value)
            case ast.Slice():
                bounds = (node.lower, node.upper, node.step)
                return Operation(at, "slice", tuple(self.expression(b) for b in bounds if b is not None))
            case _:
                inner = (child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))
                kind = type(getattr(node, "op", node)).__name__  # of a BoolOp, Or and And
                return Operation(at, kind, tuple(self.expression(child) for child in inner))

    def arguments(self, node: ast.Call) -> tuple[Argument, ...]:
        found = [self.item(argument) for argument in node.args]
        for keyword in node.keywords:
            value = self.expression(keyword.value)
            found.append(Argument(value, keyword.arg, spread=keyword.arg is None))
        return tuple(found)

    def item(self, node: ast.expr) -> Argument:
        return Argument(self.expression(node), spread=isinstance(node, ast.Starred))

    def comprehension(self, at: At, generators: list[ast.comprehension], body: Form) -> Form:
        """Loops within loops; a condition makes the innermost value one that may not come."""
        for generator in reversed(generators):
            tests = tuple(self.expression(test) for test in generator.ifs)
            if tests:
                body = Block(at, (*tests, body))
            over = self.expression(generator.iter)
            body = Loop(at, self.target(generator.target), over, body, collects=True)
        return body


def _operator(node: ast.operator) -> str:
    match node:
        case ast.Add():
            return "+"
        case ast.Mult():
            return "*"
        case _:
            return type(node).__name__
