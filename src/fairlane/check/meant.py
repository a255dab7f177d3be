"""Whether a line of a program trains further on purpose, as its text shows it: for `fairlane.guard`.

In: a program and a line of it. Out: whether words beside the line, or the loop around it, say so.
"""

from __future__ import annotations

from functools import lru_cache

from fairlane.check import python
from fairlane.check.forms import Loop
from fairlane.check.machine import says_so
from fairlane.check.purpose import Purpose, Reading, functions_of, read
from fairlane.check.walking import all_forms


def continues_at(text: str, line: int) -> bool:
    """Whether a line trains further on purpose.

    Args:
        text: the program, or a notebook's cell.
        line: the line, from 1.

    Returns:
        whether it does; False for what is not Python.

    Example:
        >>> continues_at("for epoch in range(9):\\n    model.compile('sgd')\\n    model.fit(x, y)\\n", 3)
        True
    """
    lines = text.split("\n")
    if says_so(lines, line):
        return True
    around = [reading for first, last, reading in _loops(text) if first <= line <= last]
    return any(reading.purpose is Purpose.ONWARD or reading.joins for reading in around)


def is_called_so(line: str) -> bool:
    """Whether a line that calls a function says that what it does continues: ``resume(model)``.

    Example:
        >>> is_called_so("    resume(model)"), is_called_so("    train(model)")
        (True, False)
    """
    return says_so((line.partition("#")[0],), 1)


@lru_cache(maxsize=64)
def _loops(text: str) -> tuple[tuple[int, int, Reading], ...]:
    try:
        body = python.parse(text).body
    except SyntaxError:
        return ()
    functions = functions_of(body)
    loops = [form for form in all_forms(body) if isinstance(form, Loop) and not form.collects]
    return tuple((loop.at.line, loop.at.end_line, read(loop, functions, None)) for loop in loops)
