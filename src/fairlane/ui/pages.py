"""The pages that show a store, before they have requested its content.

In: what is known without reading the store. Out: HTML, whose program may request data from this server only.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from fairlane.results.report import document, part, program
from fairlane.ui.board import query

_POLICY = "connect-src 'self'"
_BODY = """\
<noscript><h1>{title}</h1><p>This page needs JavaScript.</p></noscript>
<div id="live"></div>
<div id="report"></div>"""


def studies(place: str, notice: str = "") -> str:
    """The page of all studies.

    Args:
        place: where the store is, in words.
        notice: a text above them.
    """
    programs = (
        part("elements.js"),
        part("download.js"),
        _ours("live.js"),
        _ours("running.js"),
        _ours("studies.js"),
    )
    return _page(f"Studies in {place}", {"place": place, "notice": notice}, programs)


def study(name: str, writes: bool = False) -> str:
    """The page of a study.

    Args:
        name: the study's.
        writes: whether the server takes notes, from those who have its token.
    """
    programs = program(), _ours("live.js"), _ours("running.js"), _ours("noting.js"), _ours("study.js")
    return _page(f"Study {name}", {"writes": writes}, programs)


def several(names: Sequence[str]) -> str:
    """The page that compares studies.

    Args:
        names: the studies'.
    """
    programs = program(), _ours("live.js"), _ours("together.js"), _ours("compare.js")
    return _page("Studies compared", {"queries": [query(name) for name in dict.fromkeys(names)]}, programs)


def _page(title: str, facts: Mapping[str, Any], programs: tuple[str, ...]) -> str:
    body = _BODY.format(title=html.escape(title))
    return document(title, body, facts, part("report.css") + _ours("live.css"), "".join(programs), _POLICY)


def _ours(name: str) -> str:
    return part(name, __package__)
