"""A study as one page that opens in any browser, without a network.

In: the records of a study, and where it comes from. Out: facts, which are plain data for JSON, and a page of
HTML that shows them. The page needs only the facts, so it can show facts from elsewhere, too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairlane.kit.files import write_whole
from fairlane.results.report.best import best_of
from fairlane.results.report.facts import facts_of
from fairlane.results.report.inline import Inline
from fairlane.results.report.page import document, page, part, program

__all__ = ["Inline", "best_of", "document", "facts_of", "page", "part", "program", "write"]


def write(facts: Mapping[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write the page.

    Args:
        facts: as `facts_of` gives them.
        path: the file; an existing file is replaced.

    Returns:
        The file's path.

    Raises:
        StudyError: the file's folder does not exist.
    """
    text = page(facts)
    return write_whole(path, lambda part: part.write_bytes(text.encode("utf-8", "replace")))
