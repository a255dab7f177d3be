"""The pages that show a store, before they have asked for what stands in it.

In: what is known without reading the store. Out: HTML, whose program may ask this server, and no other.
"""

from __future__ import annotations

import html

from fairlane.report import document, part

_POLICY = "connect-src 'self'"
_BODY = """\
<noscript><h1>{title}</h1><p>This page needs JavaScript.</p></noscript>
<div id="live"></div>
<div id="report"></div>"""


def studies(place: str, notice: str = "") -> str:
    """The page of all studies.

    Args:
        place: where the store is, in words.
        notice: what to say above them.
    """
    return _page(f"Studies in {place}", {"place": place, "notice": notice}, "elements.js", "studies.js")


def study(name: str) -> str:
    """The page of a study.

    Args:
        name: the study's.
    """
    return _page(f"Study {name}", {}, "elements.js", "report.js", "study.js")


def _page(title: str, facts: dict[str, str], *programs: str) -> str:
    ours = ("live.js", "studies.js", "study.js")
    program = "".join(
        part(name, __package__) if name in ours else part(name)
        for name in (*programs[:-1], "live.js", programs[-1])
    )
    style = part("report.css") + part("live.css", __package__)
    return document(title, _BODY.format(title=html.escape(title)), facts, style, program, _POLICY)
