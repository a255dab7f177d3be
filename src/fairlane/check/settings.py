"""The settings of a project: ``[tool.fairlane.check]`` of its ``pyproject.toml``.

In: a folder. Out: its `Settings`, from the nearest ``pyproject.toml`` above that has the table.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from fairlane.check.patterns import matches
from fairlane.check.rules import RULES
from fairlane.errors import FairlaneError


class SettingsError(FairlaneError):
    """The settings can't be used: the message says which, and where."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is checked, and what counts.

    Attributes:
        root: the folder that patterns begin at.
        select: codes of the rules to apply, or beginnings of codes; none for all.
        ignore: codes of the rules not to apply.
        per_file_ignores: more of them, for the files that a pattern means.
        exclude: patterns of files and folders that are passed over when folders are searched.
        respect_gitignore: whether what git ignores is passed over, too.
        strict: whether likely findings fail a run.
    """

    root: Path = field(default_factory=Path)
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    exclude: tuple[str, ...] = ()
    respect_gitignore: bool = True
    strict: bool = False

    def ignored_in(self, path: Path) -> tuple[str, ...]:
        """The codes that do not count in a file, besides those that count nowhere."""
        more = [codes for pattern, codes in self.per_file_ignores if matches(path, [pattern], self.root)]
        return tuple(code for codes in more for code in codes)


def of_folder(folder: Path) -> Settings:
    """The settings of a folder.

    Args:
        folder: any folder of a project.

    Returns:
        its settings; the default ones, where there are none.

    Raises:
        SettingsError: they can't be used.
    """
    return _of(folder.absolute())


@lru_cache(maxsize=256)
def _of(folder: Path) -> Settings:
    for one in (folder, *folder.parents):
        file = one / "pyproject.toml"
        if file.is_file():
            try:
                table = tomllib.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise SettingsError(f"{file} can't be read: {error}") from None
            found = table.get("tool", {}).get("fairlane", {}).get("check")
            if found is not None:
                return _read(found, file)
    return Settings(folder)


def forget() -> None:
    """Read the files again, since they may have changed."""
    _of.cache_clear()


def _read(table: Any, file: Path) -> Settings:
    where = f"{file}, [tool.fairlane.check]"
    if not isinstance(table, Mapping):
        raise SettingsError(f"{where}: must be a table")
    known = {"select", "ignore", "per-file-ignores", "exclude", "respect-gitignore", "strict"}
    given = {key.replace("_", "-"): value for key, value in table.items()}
    if unknown := sorted(given.keys() - known):
        raise SettingsError(f"{where}: {unknown[0]} is not a setting; there are {', '.join(sorted(known))}")
    for key in ("respect-gitignore", "strict"):
        if not isinstance(given.get(key, False), bool):
            raise SettingsError(f"{where}: {key} must be true or false")
    per_file = given.get("per-file-ignores", {})
    if not isinstance(per_file, Mapping):
        raise SettingsError(f"{where}: per-file-ignores must be a table of patterns and lists of codes")
    return Settings(
        file.parent,
        codes(_texts(given, "select", where), f"{where}: select"),
        codes(_texts(given, "ignore", where), f"{where}: ignore"),
        tuple(
            (pattern, codes(_texts(per_file, pattern, where), f"{where}: per-file-ignores"))
            for pattern in per_file
        ),
        tuple(_texts(given, "exclude", where)),
        given.get("respect-gitignore", True),
        given.get("strict", False),
    )


def _texts(table: Mapping[str, Any], key: str, where: str) -> list[str]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise SettingsError(f"{where}: {key} must be a list of texts")
    return value


def codes(given: Iterable[str], where: str) -> tuple[str, ...]:
    """Codes of rules, or beginnings of codes; ``ALL`` stands for all.

    Args:
        given: the codes.
        where: where they stand, for the error.

    Returns:
        the codes, in capitals.

    Raises:
        SettingsError: one of them is no rule's.
    """
    found = tuple("FL" if code.strip().upper() == "ALL" else code.strip().upper() for code in given)
    for code in found:
        if not code or not any(known.startswith(code) for known in RULES):
            raise SettingsError(f"{where} {code} is not a rule; the rules are {', '.join(RULES)}")
    return found
