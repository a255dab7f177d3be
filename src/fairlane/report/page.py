"""Facts → HTML.

In: facts, as `fairlane.report.facts_of` gives them. Out: one page, with its style and program inside. What
names and errors hold stands in a block of JSON that no browser executes, and the program puts it on the page
as text. The page forbids the browser to load or to run anything else.
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
<noscript><h1>{title}</h1><p>{verdict}</p><p>Curves and tables need JavaScript.</p></noscript>
<div id="report"></div>
<script type="application/json" id="facts">{facts}</script>
<script>{program}</script>
</body>
</html>
"""


def page(facts: Mapping[str, Any]) -> str:
    """The page that shows a study's facts.

    Args:
        facts: as `fairlane.report.facts_of` gives them.
    """
    style, program = _part("report.css"), _part("report.js")
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(program)}; base-uri 'none'"
    return _PAGE.format(
        policy=html.escape(policy),
        title=html.escape(facts["title"]),
        verdict=html.escape(facts["verdict"]["sentence"]),
        style=style,
        program=program,
        facts=embedded(facts),
    )


def embedded(facts: Mapping[str, Any]) -> str:
    """JSON that can stand inside a ``<script>``, which only ``<`` could end.

    Args:
        facts: plain data.

    Example:
        >>> print(embedded({"name": "</script>"}))
        {"name":"\\u003c/script>"}
    """
    return json.dumps(facts, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _part(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
