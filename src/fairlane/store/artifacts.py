"""Weights and checkpoints as files, in a folder or anywhere that fsspec reaches.

In: bytes. Out: files that are whole or absent: they are written under a temporary name and renamed; and the
bytes again, checked by their number and SHA-256. Every name is made of numbers. A name from elsewhere that is
not is refused, so that none leads out of the folder.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlane.errors import StoreError
from fairlane.kit.extras import needed

_FOLDER = re.compile(r"[0-9a-f]{32}")
_TOKEN = re.compile(r"[0-9a-f]{16}")
_SUM = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"trial-\d+-epoch-\d+-[0-9a-f]{16}\.safetensors(\.part)?")
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Damaged(StoreError):
    """A file is missing, or not as it was written."""


def new_folder() -> str:
    """A name for a study's folder, unique among all studies."""
    return secrets.token_hex(16)


@dataclass(frozen=True)
class Artifact:
    """One file, as a store's row describes it.

    Attributes:
        trial: its trial's number.
        epoch: how many epochs were trained.
        token: unique among all files.
        size: in bytes.
        sha256: of the bytes.
    """

    trial: int
    epoch: int
    token: str
    size: int
    sha256: str

    @classmethod
    def of(cls, trial: int, epoch: int, data: bytes) -> Artifact:
        """A new file's description."""
        return cls(trial, epoch, secrets.token_hex(8), len(data), hashlib.sha256(data).hexdigest())

    @property
    def name(self) -> str:
        """Its name in the study's folder, made of numbers alone.

        Raises:
            Damaged: the description comes from a store, and Fairlane has not written it.
        """
        whole = all(type(n) is int and n >= 0 for n in (self.trial, self.epoch, self.size))
        if not whole or not _matches(_TOKEN, self.token) or not _matches(_SUM, self.sha256):
            raise Damaged(
                f"the store names a file that Fairlane does not write ({self.token!r:.60}, of trial "
                f"{self.trial!r:.20}); it is not read"
            )
        return f"trial-{self.trial}-epoch-{self.epoch}-{self.token}.safetensors"


class Artifacts:
    """The files of one study.

    Args:
        place: a folder's path, or an fsspec URL such as ``"s3://bucket/runs"``; it need not exist.
        folder: the study's own folder there, as `new_folder` names it.

    Raises:
        StoreError: the filesystem is not known, or the folder's name is not one that Fairlane makes.
    """

    def __init__(self, place: Path | str, folder: str) -> None:
        self.place, self.name = str(place), folder
        if not _matches(_FOLDER, folder):
            raise StoreError(
                f"the store gives the folder {folder!r:.60} for its files, which Fairlane does not make; it "
                "is not opened"
            )
        self._fs, root = _filesystem(place)
        self._root = root.rstrip("/")
        self._folder = f"{self._root}/{folder}"
        protocol = self._fs.protocol
        self._local = "file" in ((protocol,) if isinstance(protocol, str) else protocol)

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            StoreError: it can't be made.
        """
        self._refuse_links()
        try:
            self._fs.makedirs(self._folder, exist_ok=True)
        except Exception as error:  # each filesystem has errors of its own
            raise StoreError(f"the folder {self._folder} for weights can't be made: {error}") from error

    def write(self, artifact: Artifact, data: bytes) -> None:
        """Write a file, whole or not at all.

        Raises:
            StoreError: it can't be written; why.
        """
        path = self._path(artifact)
        part = f"{path}.part"
        self._refuse_links(path, part)
        try:
            with self._fs.open(part, "wb") as file:
                file.write(data)
                if self._local:
                    file.flush()
                    os.fsync(file.fileno())
            if self._local:
                os.replace(part, path)
            else:
                self._fs.mv(part, path)
        except Exception as error:  # each filesystem has errors of its own
            with suppress(Exception):
                self._fs.rm_file(part)
            why = "the disk is full" if getattr(error, "errno", None) in FULL else str(error)
            raise StoreError(
                f"{artifact.name} ({len(data):,} bytes) could not be written to {self.place}: {why}"
            ) from error

    def sync(self) -> None:
        """Make the names of the files written so far as durable as their contents."""
        if self._local and os.name == "posix":
            descriptor = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def read(self, artifact: Artifact) -> bytes:
        """The bytes that were written.

        Raises:
            Damaged: the file is missing, or has changed.
        """
        path = self._path(artifact)
        self._refuse_links(path)
        try:
            size = self._fs.size(path)
            if size != artifact.size:
                raise Damaged(f"{path} has {size:,} bytes, and {artifact.size:,} were written")
            data: bytes = self._fs.cat_file(path)
        except FileNotFoundError as error:
            raise Damaged(f"{path} is missing") from error
        except Damaged:
            raise
        except Exception as error:  # each filesystem has errors of its own
            raise Damaged(f"{path} can't be read: {error}") from error
        if hashlib.sha256(data).hexdigest() != artifact.sha256:
            raise Damaged(f"{path} is not as it was written: its SHA-256 has changed")
        return data

    def delete(self, artifacts: Iterable[Artifact]) -> None:
        """Delete files. One that can't be deleted is left: the next `sweep` finds it."""
        for artifact in artifacts:
            with suppress(Exception):
                self._refuse_links(self._path(artifact))
                self._fs.rm_file(self._path(artifact))

    def sweep(self, named: Iterable[Artifact]) -> set[Artifact]:
        """Delete files that no row names: a killed process wrote them, and not their rows.

        Args:
            named: all files that rows name.

        Returns:
            Of these, the ones that are missing, or have another size.

        Raises:
            StoreError: the folder can't be listed, or is a symbolic link.
        """
        named = list(named)
        sizes, links = self._listed()
        for name in sizes.keys() - links - set(map(_safe_name, named)):
            if _NAME.fullmatch(name):
                with suppress(Exception):
                    self._fs.rm_file(f"{self._folder}/{name}")
        return _broken(named, sizes, links)

    def broken(self, named: Iterable[Artifact]) -> set[Artifact]:
        """As `sweep`, and nothing is deleted.

        Args:
            named: all files that rows name.

        Raises:
            StoreError: the folder can't be listed, or is a symbolic link.
        """
        return _broken(named, *self._listed())

    def _listed(self) -> tuple[dict[str, Any], set[str]]:
        """The sizes of all files by their names, and which of them are symbolic links."""
        self._refuse_links()
        try:
            found = self._fs.ls(self._folder, detail=True)
        except FileNotFoundError:
            found = []  # an object store has a folder only once a file is in it
        except Exception as error:  # each filesystem has errors of its own
            raise StoreError(f"the folder {self._folder} can't be listed: {error}") from error
        sizes = {str(one["name"]).rsplit("/", 1)[-1]: one.get("size") for one in found}
        return sizes, {name for name in sizes if self._is_link(f"{self._folder}/{name}")}

    def remove(self) -> None:
        """Remove the folder where it is empty."""
        with suppress(Exception):
            self._fs.rmdir(self._folder)

    def discard(self) -> None:
        """Delete all files, and the folder. What can't be deleted is named by no row, and does no harm."""
        with suppress(StoreError):
            self.sweep(())
        self.remove()

    def _path(self, artifact: Artifact) -> str:
        return f"{self._folder}/{artifact.name}"

    def _refuse_links(self, *paths: str) -> None:
        """Refuse folders and files that are symbolic links: they may lead anywhere.

        Raises:
            Damaged: one is.
        """
        for path in (self._root, self._folder, *paths):
            if self._is_link(path):
                raise Damaged(
                    f"{path} is a symbolic link. Fairlane makes none, and does not follow it, because it may "
                    "lead to the files of somebody else. To keep files elsewhere, name the folder itself in "
                    f"the store's URL: {_ELSEWHERE}"
                )

    def _is_link(self, path: str) -> bool:
        return self._local and os.path.islink(path)


_ELSEWHERE = "sqlite:////path/to/runs.db?artifacts=/path/to/folder"


def check_place(place: Path | str) -> None:
    """Refuse a place for files before anything of its store is made.

    Raises:
        StoreError: it is not a folder, is a symbolic link, or can't be written; or its filesystem is not
        known.
    """
    _filesystem(place)
    if not isinstance(place, Path):
        return
    Artifacts(place, "0" * 32)._refuse_links()
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    if not there.is_dir():
        raise StoreError(
            f"weights are stored as files in the folder {place}, and {there} is a file: move it away, or "
            f"name another folder, {_ELSEWHERE}"
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise StoreError(
            f"weights are stored as files in the folder {place}, and {there} can't be written: change its "
            f"permissions, or name another folder, {_ELSEWHERE}"
        )


def _filesystem(place: Path | str) -> tuple[Any, str]:
    fsspec = needed("fsspec")
    try:
        if isinstance(place, Path):
            return fsspec.filesystem("file"), place.absolute().as_posix()
        filesystem, root = fsspec.core.url_to_fs(place)
    except (ValueError, ImportError) as error:
        raise StoreError(f"files can't be stored at {place!r}: {error}") from error
    return filesystem, str(root)


def _broken(named: Iterable[Artifact], sizes: dict[str, Any], links: set[str]) -> set[Artifact]:
    """Those files that are missing, are a link, or have another size."""
    return {
        artifact
        for artifact in named
        if sizes.get(_safe_name(artifact), -1) != artifact.size or _safe_name(artifact) in links
    }


def _safe_name(artifact: Artifact) -> str:
    try:
        return artifact.name
    except Damaged:
        return ""


def _matches(pattern: re.Pattern[str], text: Any) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None
