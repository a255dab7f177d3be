"""Which files a pattern means: those of ``exclude``, of ``per-file-ignores``, and of ``.gitignore``.

In: patterns and paths. Out: whether they match. A pattern without a slash matches a name anywhere; one with a
slash matches from its folder on. ``*`` and ``?`` stop at slashes, and ``**`` does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

GITIGNORE = ".gitignore"


@lru_cache(maxsize=4096)
def _regex(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression for paths with slashes."""
    anchored = "/" in pattern.rstrip("/")
    rest, out = pattern.strip("/"), [] if anchored else ["(?:.*/)?"]
    position = 0
    while position < len(rest):
        if rest.startswith("**/", position):
            out.append("(?:.*/)?")
            position += 3
        elif rest.startswith("**", position):
            out.append(".*")
            position += 2
        elif rest[position] in "*?":
            out.append("[^/]*" if rest[position] == "*" else "[^/]")
            position += 1
        elif rest[position] == "[" and (end := rest.find("]", position + 2)) > 0:
            inside = rest[position + 1 : end].replace("\\", r"\\")
            out.append(f"[^{inside[1:]}]" if inside[0] == "!" else f"[{inside}]")
            position = end + 1
        else:
            if rest[position] == "\\" and position + 1 < len(rest):
                position += 1
            out.append(re.escape(rest[position]))
            position += 1
    try:
        return re.compile("".join(out))
    except re.error:
        return re.compile(re.escape(rest))


def matches(path: Path, patterns: Iterable[str], root: Path) -> bool:
    """Whether a path, or a folder that it lies in, is one of those that patterns mean.

    Args:
        path: the path.
        patterns: the patterns.
        root: the folder that patterns with a slash begin at.

    Returns:
        whether one of them matches.

    Example:
        >>> matches(Path("a/tests/b.py"), ["tests"], Path("."))
        True
        >>> matches(Path("a/tests/b.py"), ["tests/*.py"], Path("."))
        False
    """
    patterns = tuple(patterns)
    if not patterns:
        return False
    try:
        inside = path.absolute().relative_to(root.absolute())
    except ValueError:
        inside = Path(path.name)
    parts = inside.parts
    prefixes = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    return any(_regex(pattern).fullmatch(prefix) for pattern in patterns for prefix in prefixes)


@dataclass(frozen=True, slots=True)
class Rules:
    """The lines of one ``.gitignore``.

    Attributes:
        folder: where it lies.
        lines: each pattern, whether it takes back, and whether it means folders only.
    """

    folder: Path
    lines: tuple[tuple[str, bool, bool], ...]

    def says(self, path: Path, is_folder: bool) -> bool | None:
        """Whether a path is ignored; None where nothing is said of it."""
        inside = path.relative_to(self.folder).as_posix()
        for pattern, takes_back, folders_only in reversed(self.lines):
            if (is_folder or not folders_only) and _regex(pattern).fullmatch(inside):
                return not takes_back
        return None


def rules_of(folder: Path, name: str = GITIGNORE) -> Rules | None:
    """The ``.gitignore`` of a folder, if there is one."""
    try:
        text = (folder / name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    lines = []
    for line in text.splitlines():
        pattern = line.rstrip()
        if not pattern or pattern.startswith("#"):
            continue
        takes_back = pattern.startswith("!")
        pattern = pattern[1:] if takes_back else pattern
        lines.append((pattern.removesuffix("/"), takes_back, pattern.endswith("/")))
    return Rules(folder, tuple(lines))


def rules_above(folder: Path) -> tuple[Rules, ...]:
    """The ``.gitignore`` files of the folders that a folder lies in, up to its repository's first."""
    above = []
    current = folder
    while not (current / ".git").exists():
        if current.parent == current:
            return ()  # not in a repository
        current = current.parent
        above.append(current)
    return tuple(rules for one in reversed(above) if (rules := rules_of(one)) is not None)


def is_ignored(path: Path, is_folder: bool, rules: Iterable[Rules]) -> bool:
    """Whether a path is ignored: what is said last, and deepest, counts."""
    ignored = False
    for one in rules:
        said = one.says(path, is_folder)
        ignored = ignored if said is None else said
    return ignored
