"""The front end for R, on tree-sitter's grammar of R.

In: the text of an R program. Out: its `forms.Program`, or a `SyntaxError`; `MissingGrammar` where the extra
``fairlane[r]`` is not installed. Nothing is run, and R itself is not needed.
"""

from __future__ import annotations

import ast
from typing import Any

from fairlane.check.forms import (
    Argument,
    Assign,
    At,
    Attribute,
    Block,
    Branch,
    Call,
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
    Reference,
    Return,
)
from fairlane.check.known import names
from fairlane.errors import FairlaneError

DEEPEST = 150
"""How deep expressions may nest before what is below counts as unknown."""

MAPPERS = names(
    """
    lapply sapply vapply map map_dbl map_int map_chr map_lgl map_df map_dfr map_dfc walk imap iwalk map_vec
    pblapply pbsapply map_depth keep discard map_at map_if modify imap_dbl imap_dfr imap_chr imap_int imap_lgl
    """
)
"""Functions that call their second argument with each item of their first, one after the other.

Those that do so in other processes are not among them: there each has a model of its own."""

PARALLEL_MAPPERS = names(
    """
    map2 map2_dfr map2_dfc map2_df map2_dbl map2_chr map2_int map2_lgl walk2
    pmap pmap_dfr pmap_dfc pmap_df pmap_dbl pmap_chr pmap_int pmap_lgl pwalk
    """
)
TRANSPARENT = names(
    """
    invisible print suppressWarnings suppressMessages identity local with system.time tic withr try I
    """
)
"""Functions that give back their last argument; what matters here is that it is evaluated."""


class MissingGrammar(FairlaneError):
    """R can't be read without the grammar that ``pip install 'fairlane[r]'`` brings."""


def parse(text: str) -> Program:
    """An R program as forms.

    Args:
        text: the program.

    Returns:
        the program.

    Raises:
        SyntaxError: it is not R.
        MissingGrammar: the grammar is not installed.
    """
    root, lowering = _read(text)
    if root.has_error:
        raise lowering.complaint(root)
    items = tuple(lowering.form(node) for node in root.named_children if node.type != "comment")
    return Program(Block(lowering.at(root), items), "r", tuple(text.split("\n")))


def complaint(text: str) -> SyntaxError | None:
    """Why a text is not R; None where it is.

    Args:
        text: a program, or a piece of one.

    Returns:
        what is wrong.

    Raises:
        MissingGrammar: the grammar is not installed.
    """
    root, lowering = _read(text)
    return lowering.complaint(root) if root.has_error else None


def _read(text: str) -> tuple[Any, _Lowering]:
    """A text's tree, and what makes forms of it."""
    try:
        from tree_sitter_language_pack import get_parser
    except ImportError:
        message = "R scripts need the grammar of R: pip install 'fairlane[r]'"
        raise MissingGrammar(message) from None
    data = text.encode()
    return get_parser("r").parse(data).root_node, _Lowering(data.split(b"\n"))


class _Lowering:
    """From tree-sitter's nodes to forms."""

    def __init__(self, lines: list[bytes]) -> None:
        self.lines = lines
        self.depth = 0

    def at(self, node: Any) -> At:
        (line, column), (end_line, end_column) = node.start_point, node.end_point
        return At(line + 1, self._column(line, column), end_line + 1, self._column(end_line, end_column))

    def _column(self, line: int, offset: int) -> int:
        """The grammar counts bytes from 0; people count characters from 1."""
        text = self.lines[line] if line < len(self.lines) else b""
        return len(text[:offset].decode("utf-8", "replace")) + 1

    def complaint(self, root: Any) -> SyntaxError:
        """The first place that is not R."""
        node, pending = root, [root]
        while pending:
            current = pending.pop()
            if current.is_error or current.is_missing:
                node = current
                break
            pending.extend(reversed([child for child in current.children if child.has_error]))
        at = self.at(node)
        return SyntaxError("invalid R syntax", ("", at.line, at.column, None))

    def form(self, node: Any) -> Form:
        self.depth += 1
        try:
            if self.depth > DEEPEST:
                return Operation(self.at(node), "...", ())
            return self._form(node)
        finally:
            self.depth -= 1

    def _form(self, node: Any) -> Form:
        at = self.at(node)
        match node.type:
            case "identifier" | "dots" | "dot_dot_i":
                return Name(at, _text(node).strip("`"))
            case "string":
                return Constant(at, _string(node))
            case "float" | "integer":
                return Constant(at, _number(_text(node)))
            case "true" | "false":
                return Constant(at, node.type == "true")
            case "null":
                return Constant(at, None)
            case "call":
                return self.call(node, ())
            case "binary_operator":
                return self.binary(node)
            case "extract_operator":
                return self.extract(node)
            case "namespace_operator":
                return Reference(at, _text(node).replace(" ", ""))
            case "subset" | "subset2":
                keys = [self.form(value) for _, value in self.raw_arguments(node)]
                key = keys[0] if len(keys) == 1 else Operation(at, "keys", tuple(keys))
                return Index(at, self.form(node.child_by_field_name("function")), key)
            case "function_definition":
                return self.function(node)
            case "parenthesized_expression":
                return self.form(_statements(node)[-1]) if _statements(node) else Block(at, ())
            case "braced_expression":
                return Block(at, tuple(self.form(child) for child in _statements(node)))
            case _:
                return self.control(node)

    def control(self, node: Any) -> Form:
        at = self.at(node)
        match node.type:
            case "if_statement":
                other = node.child_by_field_name("alternative")
                options = (
                    self.part(node, "consequence"),
                    Block(at, ()) if other is None else self.form(other),
                )
                return Branch(at, (self.part(node, "condition"),), options)
            case "for_statement":
                target, over = self.part(node, "variable"), self.part(node, "sequence")
                return Loop(at, target, over, self.part(node, "body"))
            case "while_statement":
                inner = Block(at, (self.part(node, "condition"), self.part(node, "body")))
                return Loop(at, None, None, inner)
            case "repeat_statement":
                return Loop(at, None, None, self.part(node, "body"))
            case "unary_operator":
                return Operation(at, _text(node.child_by_field_name("operator")), (self.part(node, "rhs"),))
            case "break":
                return Leave(at, "break")
            case "next":
                return Leave(at, "continue")
        return Operation(at, node.type, tuple(self.form(child) for child in _statements(node)))

    def part(self, node: Any, field: str) -> Form:
        inner = node.child_by_field_name(field)
        return Block(self.at(node), ()) if inner is None else self.form(inner)

    def function(self, node: Any) -> Function:
        at, parameters = self.at(node), []
        for parameter in node.child_by_field_name("parameters").named_children:
            name = parameter.child_by_field_name("name")
            if parameter.type != "parameter" or name is None:
                continue
            default = parameter.child_by_field_name("default")
            text = _text(name).strip("`")
            value = None if default is None else self.form(default)
            parameters.append(Parameter(text, value, rest=text == "..."))
        return Function(at, "function", tuple(parameters), self.part(node, "body"), implicit=True)

    # Operators

    def binary(self, node: Any) -> Form:
        at, operator = self.at(node), _text(node.child_by_field_name("operator"))
        left, right = node.child_by_field_name("lhs"), node.child_by_field_name("rhs")
        match operator:
            case "<-" | "=" | "<<-" | ":=":
                return self.assign(at, left, self.form(right), operator == "<<-")
            case "->" | "->>":
                return self.assign(at, right, self.form(left), operator == "->>")
            case "%>%" | "|>" | "%!>%":
                return self.pipe(left, right, at)
            case "%<>%":
                return self.assign(at, left, self.pipe(left, right, at), False)
            case "%T>%":
                value = self.form(left)
                return Block(at, (self.pipe(left, right, at), value)) if isinstance(value, Name) else value
            case "%do%":
                return self.foreach(at, left, self.form(right))
        return Operation(at, operator, (self.form(left), self.form(right)))

    def foreach(self, at: At, left: Any, body: Form) -> Form:
        """``foreach(k = 1:5) %do% {...}``: a loop."""
        call = self.form(left)
        given = call.arguments if isinstance(call, Call) else ()
        for argument in given:
            if argument.name is not None and not argument.name.startswith("."):
                return Loop(at, Name(at, argument.name), argument.value, body, collects=True)
        return Loop(at, None, None, body, collects=True)

    def assign(self, at: At, target: Any, value: Form, outer: bool) -> Form:
        if target.type == "string":
            return Assign(at, Name(self.at(target), _string(target)), value, outer)
        return Assign(at, self.form(target), value, outer)

    def pipe(self, left: Any, right: Any, at: At) -> Form:
        """``x %>% f(y)`` is ``f(x, y)``, but where the right side says itself where x goes."""
        value = self.form(left)
        if right.type == "call":
            return self.call(right, (Argument(value),))
        if right.type == "parenthesized_expression" and _statements(right):
            return Call(at, self.form(_statements(right)[-1]), (Argument(value),))
        if right.type == "braced_expression":
            dot = Assign(value.at, Name(value.at, "."), value)
            return Block(at, (dot, self.form(right)))
        return Call(self.at(right), self.form(right), (Argument(value),))

    def extract(self, node: Any) -> Form:
        right = node.child_by_field_name("rhs")
        name = "" if right is None else _text(right).strip("`\"'")
        return Attribute(self.at(node), self.part(node, "lhs"), name)

    # Calls

    def raw_arguments(self, node: Any) -> list[tuple[str | None, Any]]:
        """The arguments of a call: names and nodes."""
        found = []
        for argument in node.child_by_field_name("arguments").named_children:
            value = argument.child_by_field_name("value") if argument.type == "argument" else None
            if value is not None:
                name = argument.child_by_field_name("name")
                found.append((None if name is None else _text(name).strip("`\"'"), value))
        return found

    def call(self, node: Any, piped: tuple[Argument, ...]) -> Form:
        at, function = self.at(node), node.child_by_field_name("function")
        arguments = [Argument(self.form(v), n, spread=v.type == "dots") for n, v in self.raw_arguments(node)]
        holes = [i for i, a in enumerate(arguments) if isinstance(a.value, Name) and a.value.id in (".", "_")]
        if piped and holes:
            for hole in holes:
                arguments[hole] = Argument(piped[0].value, arguments[hole].name)
        else:
            arguments = [*piped, *arguments]
        if function.type == "return":
            return Return(at, arguments[0].value if arguments else None)
        name = _text(function).rpartition(":")[2] if function.type != "call" else ""
        special = self.special(at, name, arguments)
        return Call(at, self.form(function), tuple(arguments)) if special is None else special

    def special(self, at: At, name: str, arguments: list[Argument]) -> Form | None:
        """Functions that are control flow, or build lists."""
        values = [argument.value for argument in arguments]
        if name in ("list", "c"):
            return Group(at, tuple(arguments))
        if name in MAPPERS and len(values) >= 2:
            return self.mapped(at, arguments)
        if name in ("Map", "mapply", *PARALLEL_MAPPERS) and values:
            return self.mapped_in_parallel(at, arguments)
        if name == "apply" and len(values) >= 3:
            return self.mapped(at, [arguments[0], *arguments[2:]])
        if name == "replicate" and len(values) >= 2:
            return Loop(at, None, None, values[1], collects=True)
        if name in TRANSPARENT and values:
            return Block(at, tuple(values))
        if name in ("switch", "tryCatch", "withCallingHandlers", "ifelse", "if_else") and values:
            return self.one_of(at, name, arguments)
        if name in ("quote", "bquote", "expression", "substitute", "rlang::expr", "~"):
            return Operation(at, name, ())  # not evaluated
        if name == "stop":
            return Block(at, (Operation(at, "stop", tuple(values)), Leave(at, "raise")))
        if name == "assign" and len(values) >= 2 and isinstance(values[0], Constant):
            return Assign(at, Name(at, str(values[0].value)), values[1])
        return None

    def one_of(self, at: At, name: str, arguments: list[Argument]) -> Form:
        """``switch(...)`` runs one of its arguments; ``tryCatch`` its first, and its handlers on occasion."""
        values = [argument.value for argument in arguments]
        if name in ("tryCatch", "withCallingHandlers"):
            first = next((a.value for a in arguments if a.name in (None, "expr")), None)
            last = [a.value for a in arguments if a.name == "finally"]
            return Block(at, (*([] if first is None else [first]), *last))
        return Branch(at, (values[0],), (*values[1:], Block(at, ())))

    def mapped(self, at: At, arguments: list[Argument]) -> Form:
        """``lapply(items, f, more)``: a loop that calls f."""
        function = next((a for a in arguments if a.name in ("FUN", ".f", "f")), None) or arguments[1]
        over = next((a for a in arguments if a.name in ("X", ".x")), None) or next(
            a for a in arguments if a is not function
        )
        more = tuple(a for a in arguments if a is not function and a is not over and a.name != "FUN.VALUE")
        item = Name(over.value.at, ".item")
        body = self.body_of(function.value, (Argument(item), *more))
        return Loop(at, item, over.value, body, collects=True)

    def mapped_in_parallel(self, at: At, arguments: list[Argument]) -> Form:
        """``Map(f, a, b)``: a loop whose items are not followed."""
        functions = [a for a in arguments if isinstance(a.value, Function) or a.name in ("FUN", ".f", "f")]
        named = [a for a in arguments if isinstance(a.value, Name)]
        function = (functions or named or arguments)[0]
        count = 2
        if isinstance(function.value, Function):
            count = max(1, sum(not parameter.rest for parameter in function.value.parameters))
        others = [a for a in arguments if a is not function and a.name != "MoreArgs"][:count]
        over = Operation(at, "zip", tuple(a.value for a in others))
        items = tuple(Argument(Name(at, f".item{i}")) for i in range(len(others)))
        given = items if len(items) > 1 else items * count  # pmap's list holds them all
        return Loop(at, Group(at, items), over, self.body_of(function.value, given), collects=True)

    def body_of(self, function: Form, arguments: tuple[Argument, ...]) -> Form:
        """What is done with each item: purrr's ``~ f(.x)`` or the call of a function."""
        if isinstance(function, Operation) and function.operator in ("unary_operator", "~"):
            at = function.at
            names_of = ((".x", ".", "..1"), (".y", "..2"), ("..3",))
            pairs = zip(names_of, arguments, strict=False)
            bound = tuple(Assign(at, Name(at, n), a.value) for some, a in pairs for n in some)
            return Block(at, (*bound, *function.parts))
        return Call(function.at, function, arguments)


def _text(node: Any) -> str:
    return node.text.decode("utf-8", "replace") if node is not None else ""


def _statements(node: Any) -> list[Any]:
    return [child for child in node.named_children if child.type not in ("comment", "comma")]


def _string(node: Any) -> str:
    content = node.child_by_field_name("content")
    return _text(content) if content is not None else _text(node).strip("\"'")


def _number(text: str) -> object:
    try:
        return ast.literal_eval(text.rstrip("L"))
    except (ValueError, SyntaxError):
        return text
