"""Whether a program that is not Python 3 is Python 2.

In: a text and the line where Python 3 stops to understand it. Out: words for what is
Python 2 there, or None.
"""

from __future__ import annotations

import re

_SIGNS = (
    (re.compile(r"^\s*(?:[^#'\"]*[:;]\s*)?print\b(?!\s*(?:\(|=|\.|$))"), "`print` without parentheses"),
    (re.compile(r"^\s*print\s*\(.*\)\s*(?:%|,\s*$)"), "`print` without parentheses"),
    (re.compile(r"^\s*exec\s+[^\s=(.]"), "`exec` without parentheses"),
    (re.compile(r"^\s*except\s+[\w.()\s,]+,\s*\w+\s*:"), "`except Error, name`"),
    (re.compile(r"^\s*raise\s+[\w.]+\s*,"), "`raise Error, value`"),
    (re.compile(r"<>"), "`<>` for `!=`"),
    (re.compile(r"(?<![\w.])0\d+(?![\d.eEjJ_])"), "an octal number that begins with 0"),
    (re.compile(r"(?<![\w.])(?:0[xX][0-9a-fA-F]+|\d+)[lL]\b"), "a long number that ends with L"),
    (re.compile(r"(?<!\w)[uU][rR]['\"]"), "a text that begins with ur"),
    (re.compile(r"`[^`]+`"), "backquotes for repr()"),
    (re.compile(r"^\s*(?:def\s+\w+|.*\blambda)\b[^:]*\(\s*\w+\s*,[^:]*\)"), "a tuple as a parameter"),
)


def sign(text: str, error: SyntaxError) -> str | None:
    """What shows that a text is Python 2.

    Args:
        text: the text.
        error: what Python 3 says of it.

    Returns:
        words for what stands at the error's place, or None where that is no Python 2 either.

    Example:
        >>> sign("print 'hello'", SyntaxError("invalid syntax", ("", 1, 1, None)))
        '`print` without parentheses'
    """
    message = str(error.msg)
    if isinstance(error, TabError):
        return "tabs and blanks mixed in one indentation"
    if "Missing parentheses in call to" in message:
        name = "exec" if "'exec'" in message else "print"
        return f"`{name}` without parentheses"
    if "multiple exception types must be parenthesized" in message:
        return "`except Error, name`"
    if "leading zeros in decimal integer" in message:
        return "an octal number that begins with 0"
    lines = text.split("\n")
    number = error.lineno or 0
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    return next((words for pattern, words in _SIGNS if pattern.search(line)), None)
