"""The cache folder: files on disk, by key.

In: a key and bytes. Out: the same bytes in a later process, or None. A file that is damaged, truncated or
of another format is a miss. A folder that can't be written to, or a full disk, keeps nothing, and raises
nothing. What is loaded is machine code, so a folder or file that another user could have written is not read.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import operator
import os
import re
import stat
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

VARIABLE = "FAIRLANE_CACHE"
LIMIT = 2**30
"""Bytes that the programs of a folder may take together."""

_NOT_A_FOLDER = "it is not a folder"
_OFF = ("off", "0", "no", "false")
_MAGIC = b"fairlane program 1\n"
_PROGRAM = re.compile(r"[0-9a-f]{64}\.program")
_NAME = re.compile(r"[0-9a-f]{64}\.(program|recipe)")
_PART = re.compile(r"fairlane-\w+\.part")
_ABANDONED = 3600.0
"""Seconds after which a temporary file belongs to a process that was killed."""


class Contents(NamedTuple):
    """What is in a cache folder.

    Attributes:
        programs: how many.
        size: of their files, in bytes.
    """

    programs: int
    size: int


def cache_folder() -> Folder | None:
    """The folder that ``FAIRLANE_CACHE`` names, or this platform's; None where the cache is off.

    A relative path is one from the working directory of the moment.
    """
    chosen = os.environ.get(VARIABLE, "").strip()
    if chosen.lower() in _OFF:
        return None
    try:
        return Folder(Path(chosen).expanduser().absolute() if chosen else _platform_folder())
    except RuntimeError:  # the user has no home
        return None


def _platform_folder() -> Path:
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "fairlane" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "fairlane"
    chosen = os.environ.get("XDG_CACHE_HOME", "")
    # The standard says: a relative path is to be ignored.
    return (Path(chosen) if os.path.isabs(chosen) else Path.home() / ".cache") / "fairlane"


@dataclass(frozen=True)
class Folder:
    """A cache folder.

    Attributes:
        path: where.
        limit: bytes that its programs may take; the least recently used are removed first.
    """

    path: Path
    limit: int = LIMIT

    def read(self, key: str, kind: str = "program") -> bytes | None:
        """What was written under a key, or None.

        Args:
            key: 64 hexadecimal digits.
            kind: ``"program"``, or ``"recipe"`` for how to find one.
        """
        path = self._file(key, kind)
        try:
            content = None if self.refusal() else _read(path)
        except OSError:
            return None
        if content is None:
            return None
        payload = content[len(_header(key, b"")) :]
        if content != _header(key, payload) + payload:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the time of last use, by which files are removed
        return payload

    def write(self, key: str, payload: bytes, kind: str = "program") -> None:
        """Keep bytes under a key, where the folder can be written to and they are within its limit.

        Args:
            key: 64 hexadecimal digits.
            payload: the bytes.
            kind: as for `read`.
        """
        content = _header(key, payload) + payload
        if len(content) > self.limit:
            return
        # A full disk, or a folder that is read-only: the next process compiles again.
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
            if self.refusal():
                return
            self._replace(self._file(key, kind), content)
            self._shrink()

    def refusal(self) -> str:
        """Why the folder is not used, or an empty text. A folder that does not exist is made later."""
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return ""
        except NotADirectoryError:
            return _NOT_A_FOLDER
        except OSError as error:
            return f"it can't be read ({error.strerror})"
        if not stat.S_ISDIR(status.st_mode):
            return _NOT_A_FOLDER
        if _others_may_have_written(status):
            return "another user owns it or can write to it, and their programs are not safe to run"
        return "" if os.access(self.path, os.R_OK | os.W_OK | os.X_OK) else "you can't write to it"

    def contents(self) -> Contents:
        """How many programs there are, and how large all files are."""
        return _total(self._files(_NAME))

    def clear(self) -> Contents:
        """Remove all programs; files of other names stay.

        Returns:
            What was removed.

        Raises:
            OSError: a file can't be removed.
        """
        files = list(self._files(_NAME))
        for path, _ in [*files, *self._files(_PART)]:
            path.unlink(missing_ok=True)
        return _total(files)

    # --- files --------------------------------------------------------------------------------------

    def _file(self, key: str, kind: str) -> Path:
        return self.path / f"{key}.{kind}"

    def _replace(self, path: Path, content: bytes) -> None:
        """Write a file so that other processes see all of it, or nothing."""
        handle, part = tempfile.mkstemp(".part", "fairlane-", self.path)  # for this user alone
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(part, path)
        except BaseException:
            os.unlink(part)
            raise

    def _shrink(self) -> None:
        """Remove what was not used for longest, until the rest is within the limit."""
        kept = 0
        for path, status in sorted(self._files(_NAME), key=lambda file: -file[1].st_mtime):
            kept += status.st_size
            if kept > self.limit:
                path.unlink(missing_ok=True)
        for path, status in self._files(_PART):
            if time.time() - status.st_mtime > _ABANDONED:
                path.unlink(missing_ok=True)

    def _files(self, name: re.Pattern[str]) -> Iterator[tuple[Path, os.stat_result]]:
        """The files of such names; another process may remove some meanwhile."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.path) as entries:
            for entry in entries:
                if name.fullmatch(entry.name):
                    with contextlib.suppress(FileNotFoundError):
                        yield Path(entry.path), entry.stat(follow_symlinks=False)


def _header(key: str, payload: bytes) -> bytes:
    """Which program, and by which a damaged one is noticed."""
    return _MAGIC + key.encode() + hashlib.sha256(payload).digest()


def _read(path: Path) -> bytes | None:
    """A file's content, or None where another user may have written it."""
    # The open file is looked at, not its name: another file could be put under the name in between.
    flags = (getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    handle = os.open(path, functools.reduce(operator.or_, flags, os.O_RDONLY))
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or _others_may_have_written(status):
            return None
        return file.read()


def _others_may_have_written(status: os.stat_result) -> bool:
    """Whether a file or folder is another user's, or others can write to it."""
    if sys.platform == "win32":  # there the folder lies in the user's profile, which is closed to others
        return False
    return status.st_uid != os.getuid() or bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _total(files: Iterable[tuple[Path, os.stat_result]]) -> Contents:
    sizes = {path: status.st_size for path, status in files}
    return Contents(sum(bool(_PROGRAM.fullmatch(path.name)) for path in sizes), sum(sizes.values()))
