"""The pages that show a store, before they have requested its content.

In: what is known without reading the store. Out: HTML, whose program may request data from this server only.
"""

from __future__ import annotations

import html

from fairlane.results.report import document, part, program

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
    programs = part("elements.js"), part("download.js"), _ours("live.js"), _ours("studies.js")
    return _page(f"Studies in {place}", {"place": place, "notice": notice}, programs)


def study(name: str) -> str:
    """The page of a study.

    Args:
        name: the study's.
    """
    programs = program(), _ours("live.js"), _ours("study.js")
    return _page(f"Study {name}", {}, programs)


def _page(title: str, facts: dict[str, str], programs: tuple[str, ...]) -> str:
    body = _BODY.format(title=html.escape(title))
    return document(title, body, facts, part("report.css") + _ours("live.css"), "".join(programs), _POLICY)


def _ours(name: str) -> str:
    return part(name, __package__)
