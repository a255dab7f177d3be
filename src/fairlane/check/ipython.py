"""A cell as IPython reads it → Python.

In: the text of a cell, with magics, shell commands, questions and prompts. Out: Python of as many lines,
so that every place stays where it is. What does not concern models becomes ``pass`` or ``None``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fairlane.check import python
from fairlane.check.known import names

_CELL_TRANSPARENT = frozenset(
    {"time", "timeit", "capture", "prun", "memit", "mprun", "python", "python3", "py"}
)
_LINE_TRANSPARENT = {  # with the options that take a value
    "time": "",
    "timeit": "nrp",
    "prun": "lsTD",
    "memit": "rti",
}
_FOREIGN = re.compile(r"%(sql|md|sh|fs|scala|r|bash|html|latex|javascript|js)\b", re.IGNORECASE)
_AUTOMAGIC = names(
    """
    pip conda mamba cd ls ll dir mkdir rmdir rm cp mv cat pwd env load_ext reload_ext matplotlib
    pylab config run load time timeit who whos reset history alias bookmark cls clear more less man
    tensorboard store autoreload aimport logstart logstop colors debug edit macro precision prun
    psearch pycat rerun save set_env unload_ext uv git wget curl unzip echo head tail
    """
)
_PROMPT = re.compile(r"^\s*(?:>>>|In \[\d*\]:)(?: |$)")
_PROMPTS = re.compile(r"^\s*(?:>>>|\.\.\.|In \[\d*\]:|\.\.\.+:)(?: |$)")
_ASSIGNED = re.compile(r"^(?P<left>\s*[A-Za-z_][\w.,\[\]'\" *]*=\s*)(?:!|%(?=[A-Za-z]))")
_OPENERS, _CLOSERS = "([{", ")]}"


def to_python(text: str) -> str:
    """A cell without IPython's own syntax.

    Args:
        text: the cell.

    Returns:
        a text with as many lines; it need not be Python, where the cell is not.

    Example:
        >>> to_python("!pip install keras\\nx = %pwd\\n%time f(x)")
        'pass\\nx = None\\nf(x)'
    """
    lines = text.split("\n")
    if python.complaint(text) is None:
        return text
    lines = _dedented(_unprompted(lines))
    first = next((i for i, line in enumerate(lines) if line.strip()), None)
    if first is not None and lines[first].startswith("%%"):
        return _cell_magic(lines, first)
    changed = "\n".join(_Reader(lines).read())
    is_foreign = first is not None and _FOREIGN.match(lines[first])
    if is_foreign and python.complaint(changed) is not None:
        return "\n".join([""] * len(lines))
    return changed


def _cell_magic(lines: list[str], first: int) -> str:
    """``%%time`` and the like time what is below them; other magics make something else of it."""
    name, _, rest = lines[first][2:].partition(" ")
    if name.strip() not in _CELL_TRANSPARENT:
        return "\n".join([""] * len(lines))
    body = to_python("\n".join(lines[first + 1 :]))
    statement = rest.strip() if name == "time" and not body.strip() else ""
    head = statement if statement and python.complaint(statement) is None else ""
    above = [*[""] * first, head]
    return "\n".join([*above, body] if first + 1 < len(lines) else above)


def _unprompted(lines: Sequence[str]) -> list[str]:
    """Lines that were copied from a session, with its prompts, and without its output."""
    first = next((line for line in lines if line.strip()), "")
    if not _PROMPT.match(first):
        return list(lines)
    return [_PROMPTS.sub("", line, count=1) if _PROMPTS.match(line) else "" for line in lines]


def _dedented(lines: list[str]) -> list[str]:
    """A cell that is indented as a whole, as far as its first line is."""
    first = next((line for line in lines if line.strip()), "")
    indent = first[: len(first) - len(first.lstrip())]
    return [line.removeprefix(indent) for line in lines] if indent else lines


class _Reader:
    """Reads a cell line by line, and knows where a line begins a statement."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.found: list[str] = []
        self.depth = 0
        self.quote = ""  # the quotes of a string that goes on in the next line
        self.goes_on = False

    def read(self) -> list[str]:
        """The lines as Python."""
        position = 0
        while position < len(self.lines):
            line = self.lines[position]
            changed = None if self.depth or self.quote or self.goes_on else self.changed(line)
            position += 1
            if changed is None:
                self.found.append(line)
                self.follow(line)
                continue
            self.found.append(changed)
            if changed.strip() not in ("pass", "") and not changed.endswith("= None"):
                self.follow(changed)  # what a magic times may go on in the next line
                continue
            while line.rstrip().endswith("\\") and position < len(self.lines):
                line = self.lines[position]
                self.found.append("")
                position += 1
        return self.found

    def changed(self, line: str) -> str | None:
        """A line that is not Python's, as Python; None for all others."""
        bare = line.strip()
        indent = line[: len(line) - len(line.lstrip())]
        if bare.startswith("%") and (timed := _timed(bare)):
            return indent + timed
        if bare[:1] in ("%", "!", "?", ";", "/", ","):
            return indent + "pass"
        if assigned := _ASSIGNED.match(line):
            return assigned["left"] + "None"
        if bare.endswith("?") and self.code_of(line).rstrip().endswith("?") and _is_question(bare):
            return indent + "pass"
        if not indent and _is_automagic(bare):
            return "pass"
        return None

    def follow(self, line: str) -> None:
        """Note where the end of a line leaves strings, brackets and continuations."""
        code = self.code_of(line, keep=True)
        self.goes_on = not self.quote and code.endswith("\\")

    def code_of(self, line: str, keep: bool = False) -> str:
        """A line without its strings and its comment; ``keep`` notes what it leaves open."""
        depth, quote, code, position = self.depth, self.quote, [], 0
        while position < len(line):
            here = line[position]
            if quote:
                if here == "\\":
                    position += 2
                    continue
                if line.startswith(quote, position):
                    position += len(quote)
                    quote = ""
                    continue
            elif here == "#":
                break
            elif here in "'\"":
                quote = here * 3 if line.startswith(here * 3, position) else here
                position += len(quote)
                code.append("'")
                continue
            else:
                depth += here in _OPENERS
                depth -= here in _CLOSERS
                code.append(here)
            position += 1
        if keep:
            goes_on = len(quote) == 3 or line.endswith("\\")
            self.depth, self.quote = max(0, depth), quote if goes_on else ""
        return "".join(code)


def _timed(line: str) -> str:
    """What ``%timeit -n 5 statement`` times; nothing for other magics."""
    match = re.match(r"%{1,2}(\w+)(?:\s+(.*))?$", line)
    if match is None or match[1] not in _LINE_TRANSPARENT or not match[2]:
        return ""
    words, with_value = match[2], _LINE_TRANSPARENT[match[1]]
    while option := re.match(r"-(?:-[\w-]+|[A-Za-z]\S*)\s*", words):
        taken = option[0].strip()
        words = words[option.end() :]
        if len(taken) == 2 and taken[1] in with_value:
            words = words.partition(" ")[2].lstrip()
    return words


def _is_question(line: str) -> bool:
    return re.fullmatch(r"(?:.*[=\s])?[%\w.*\[\]()'\"-]+\?{1,2}", line) is not None


def _is_automagic(line: str) -> bool:
    name = line.partition(" ")[0]
    return (
        name in _AUTOMAGIC
        and re.match(r"\w+\s+[^=\s(]", line) is not None
        and python.complaint(line) is not None
    )
