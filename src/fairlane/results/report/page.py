"""Facts → HTML.

In: facts, as `report.facts_of` gives them. Out: one page, with its style and program inside. Names, errors
and all other data stand in a block of JSON that no browser executes, and the program puts them on the page as
text. The page forbids the browser to load or run anything else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="Fairlane">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
<script type="application/json" id="facts">{facts}</script>
<script>{program}</script>
</body>
</html>
"""

_BODY = """\
<noscript><h1>{title}</h1><p>{verdict}</p><p>Curves and tables need JavaScript.</p></noscript>
<div id="report"></div>"""

_EXPLORING = ("statistics.js", "explore.js", "map.js", "pairs.js", "ranked.js")
_DRAWING = ("elements.js", "download.js", "chart.js", "panel.js", "search.js", "notes.js")
_PROGRAM = (*_DRAWING, *_EXPLORING, "report.js")

_START = (
    'report(document.getElementById("report"), JSON.parse(document.getElementById("facts").textContent));\n'
)


def page(facts: Mapping[str, Any]) -> str:
    """The page that shows a study's facts.

    Args:
        facts: as `fairlane.results.report.facts_of` gives them.
    """
    title, sentence = facts["title"], facts["verdict"]["sentence"]
    body = _BODY.format(title=html.escape(title), verdict=html.escape(sentence))
    return document(title, body, facts, part("report.css"), program() + _START)


def program() -> str:
    """The program that shows a study's facts in an element: the function ``report``."""
    return "".join(map(part, _PROGRAM))


def document(
    title: str, body: str, facts: Mapping[str, Any], style: str, program: str, policy: str = ""
) -> str:
    """A page of HTML that runs its own program, and nothing else.

    Args:
        title: any text.
        body: HTML.
        facts: plain data, which the program finds as JSON in the element ``facts``.
        style: CSS.
        program: JavaScript.
        policy: directives of a Content-Security-Policy, to allow what is otherwise forbidden.
    """
    directives = ["default-src 'none'", f"style-src {_hash(style)}", f"script-src {_hash(program)}"]
    # A drawing becomes a PNG by way of an image that the page itself has made.
    directives += ["img-src blob:", "base-uri 'none'", *filter(None, [policy])]
    return _PAGE.format(
        policy=html.escape("; ".join(directives)),
        title=html.escape(title),
        body=body,
        facts=embedded(facts),
        style=style,
        program=program,
    )


def embedded(facts: Mapping[str, Any]) -> str:
    """JSON that can stand inside a ``<script>``: without ``<``, nothing in it can end the element.

    Args:
        facts: plain data.

    Example:
        >>> print(embedded({"name": "</script>"}))
        {"name":"\\u003c/script>"}
    """
    return json.dumps(facts, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def part(name: str, package: str = __package__) -> str:
    """The text of a file of style or program.

    Args:
        name: the file's.
        package: the package of the file.
    """
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
