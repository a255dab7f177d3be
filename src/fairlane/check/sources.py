"""Files → the texts in them, each of one language.

In: paths of files and directories. Out: `Unit` values: a Python file is one, a notebook is one whose lines
know their cells, a document is one for its R and one for its Python. Lines stay where they are, so that every
finding has its true place. `Unreadable` says what could not be read.
"""

from __future__ import annotations

import io
import os
import tokenize
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fairlane.check import documents, notebooks
from fairlane.check.patterns import Rules, is_ignored, matches, rules_above, rules_of
from fairlane.check.texts import Remark, Unit, Unreadable

LANGUAGES = {".py": "python", ".pyw": "python", ".r": "r"}
DOCUMENTS = frozenset({".rmd", ".qmd", ".rmarkdown"})
MARKDOWN = frozenset({".md", ".markdown"})
SUFFIXES = frozenset({*LANGUAGES, *DOCUMENTS, *MARKDOWN, ".ipynb"})
SKIPPED = frozenset(
    {"__pycache__", "node_modules", "venv", "env", "site-packages", "build", "dist", "renv", "packrat"}
)


def files(
    paths: Iterable[str | os.PathLike[str]],
    exclude: Collection[str] = (),
    root: Path | None = None,
    respect_gitignore: bool = True,
    force_exclude: bool = False,
) -> Iterator[Path]:
    """The files to check, each once, in a stable order.

    Args:
        paths: files, which are taken as they are, and directories, which are searched. Hidden directories,
            virtual environments and the like are passed over.
        exclude: patterns of what else is passed over.
        root: the folder that patterns begin at; by default the current one.
        respect_gitignore: whether what ``.gitignore`` files name is passed over.
        force_exclude: whether ``exclude`` counts for files that are named, too.

    Yields:
        the files; one that does not exist is among them, for reading it to say so.
    """
    root = Path() if root is None else root
    search = _Search(tuple(exclude), root, respect_gitignore)
    seen: set[Path] = set()
    for path in map(Path, paths):
        if path.is_dir():
            above = rules_above(path.absolute()) if respect_gitignore else ()
            found: Iterable[Path] = search.below(path, above)
        else:
            found = () if force_exclude and matches(path, exclude, root) else (path,)
        for one in found:
            if one not in seen:
                seen.add(one)
                yield one


@dataclass(frozen=True, slots=True)
class _Search:
    """How folders are searched."""

    exclude: tuple[str, ...]
    root: Path
    respect_gitignore: bool

    def below(self, folder: Path, above: tuple[Rules, ...]) -> Iterator[Path]:
        """The files below a folder; ``above`` is what its outer folders ignore."""
        own = rules_of(folder.absolute()) if self.respect_gitignore else None
        rules = above if own is None else (*above, own)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            return
        for entry in entries:
            path = Path(folder, entry.name)
            is_folder = entry.is_dir(follow_symlinks=False)
            is_file = not is_folder and path.suffix.lower() in SUFFIXES and entry.is_file()
            if entry.name.startswith(".") or not (is_folder or is_file):
                continue
            if matches(path, self.exclude, self.root) or is_ignored(path.absolute(), is_folder, rules):
                continue
            if is_file:
                yield path
            elif entry.name not in SKIPPED and not (path / "pyvenv.cfg").exists():
                yield from self.below(path, rules)


def units(path: Path, name: str | None = None, data: bytes | None = None) -> list[Unit]:
    """Read a file.

    Args:
        path: the file.
        name: how to call it in findings; by default its path.
        data: its contents, where they come from elsewhere.

    Returns:
        its texts; none, for a notebook of a language that is not checked.

    Raises:
        Unreadable: the file does not exist, or it is not what its name says.
    """
    name = str(path) if name is None else name
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        kinds = ", ".join(sorted(SUFFIXES))
        raise Unreadable(f"not a kind of file that is checked ({kinds})")
    if data is None:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise Unreadable(error.strerror or str(error)) from None
    if LANGUAGES.get(suffix) == "python":
        return [Unit(name, "python", _plain(_decoded_python(data)))]
    if suffix == ".ipynb":
        return notebooks.units(name, _plain(_decoded(data, "utf-8-sig")))
    text, remarks = _decoded_loosely(data)
    if suffix in LANGUAGES:
        return [Unit(name, LANGUAGES[suffix], text, remarks=remarks)]
    found = documents.units(name, text, markdown=suffix in MARKDOWN)
    return [replace(unit, remarks=(*remarks, *unit.remarks)) for unit in found[:1]] + found[1:]


def _decoded_python(data: bytes) -> str:
    """Python may name an encoding of its own."""
    try:
        encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
    except SyntaxError as error:
        if "unknown encoding" in str(error):
            raise Unreadable(f"its encoding is unknown: {error}") from None
        encoding = "utf-8-sig"  # whose decoder knows more of the place
    return _decoded(data, encoding)


def _decoded(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except LookupError as error:
        raise Unreadable(f"its encoding is unknown: {error}") from None
    except UnicodeDecodeError as error:
        raise _not_its_encoding(data, error) from None


def _decoded_loosely(data: bytes) -> tuple[str, tuple[Remark, ...]]:
    """A text in UTF-8, or in Latin-1, which R takes as well."""
    try:
        return _plain(_decoded(data, "utf-8-sig")), ()
    except Unreadable as error:
        if "Latin-1" not in str(error):
            raise
        remark = Remark(error.line or 1, 1, "not UTF-8: it was read as Latin-1")
        return _plain(data.decode("latin-1")), (remark,)


def _plain(text: str) -> str:
    """Text with ``\\n`` for its lines' ends."""
    if "\0" in text:
        raise Unreadable("not text: it contains a null byte")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", " ")


def _not_its_encoding(data: bytes, error: UnicodeDecodeError) -> Unreadable:
    """What a text is that is not of the encoding that it should be of."""
    line = data[: error.start].count(b"\n") + 1
    message = f"not {error.encoding} text: {error.reason}"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Unreadable(f"{message}; it is UTF-16: save it as UTF-8", 1)
    if error.encoding.startswith("utf-8") and not any(byte < 9 or 13 < byte < 27 for byte in data):
        how = "save it as UTF-8, or (Python) name its encoding in its first line: # -*- coding: latin-1 -*-"
        return Unreadable(f"{message}; it looks like Latin-1 (or Windows-1252): {how}", line)
    return Unreadable(message, line)
