"""What the site shows of files that lie outside of ``docs/``: no text and no program stands twice.

In: pages as they are read in the repository, where links lead to any file of it. Out: the site's pages. A
document from elsewhere in the repository becomes a page of its own; a link to it leads to that page. A link
to another file leads to the repository's address where ``repo_url`` in ``mkdocs.yml`` gives one, and is plain
text where not. A link to a file that there is not stops the build.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
RULES = "src/fairlane/check/pages"
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks/scripts.md",
    "benchmarks/NOTES.md": "benchmarks/notes.md",
    **{f"{RULES}/{page.name}": f"check/{page.name}" for page in sorted((ROOT / RULES).glob("*.md"))},
}
"""Documents that lie elsewhere in the repository, and where the site has them."""
HOMES = {site: repository for repository, site in PAGES.items()}

FENCED = re.compile(r"^(```.*?^```[^\S\n]*$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]*)\]\((?P<path>[^)#\s:]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents from elsewhere."""
    for repository, site in PAGES.items():
        files.append(File.generated(config, site, abs_src_path=str(ROOT / repository)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Turn links, but for those in blocks of code."""
    here = page.file.src_uri
    parts = FENCED.split(markdown)
    parts[::2] = [LINK.sub(lambda found: _link(found, here, config.repo_url), part) for part in parts[::2]]
    return "".join(parts)


def _link(found: re.Match[str], here: str, repository: str | None) -> str:
    """A link as the site has it."""
    home = HOMES.get(here, f"docs/{here}")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(home), found["path"]))
    anchor = found["anchor"] or ""
    if target.startswith("docs/") and home.startswith("docs/"):
        return found[0]  # which MkDocs checks
    if target.startswith("docs/") or target in PAGES:
        site = PAGES.get(target, target.removeprefix("docs/"))
        return f"[{found['text']}]({posixpath.relpath(site, posixpath.dirname(here) or '.')}{anchor})"
    if not (ROOT / target).exists():
        raise PluginError(f"{home} links to {found['path']}, which is not in the repository")
    if repository:
        return f"[{found['text']}]({repository.rstrip('/')}/blob/HEAD/{target}{anchor})"
    return found["text"]
