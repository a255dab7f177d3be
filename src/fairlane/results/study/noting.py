"""Notes and tags of a study, and of its variants.

In: texts. Out: `Noted`, the part of a `Study` that keeps them in its store.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from fairlane.kit import arguments
from fairlane.results.cells import frame_of
from fairlane.results.study.base import Base
from fairlane.store import note_of


class Noted(Base):
    """The notes of a study."""

    @property
    def notes(self) -> pd.DataFrame:
        """A row per note: ``variant``, missing for that about the study, ``text``, and ``tags``, a list.

        Example:
            >>> study.note("to be repeated", variant=1, tags=["good"])
            >>> study.notes.values.tolist()
            [[1, 'to be repeated', ['good']]]
        """
        noted = self._store.noted()
        texts, tags = [note.text for note in noted.values()], [[*note.tags] for note in noted.values()]
        return frame_of({"variant": [*noted], "text": texts, "tags": tags}).astype({"variant": "Int64"})

    @arguments.checked
    def note(self, text: str, *, variant: int | None = None, tags: Sequence[str] = ()) -> None:
        """Write a note about a variant, or about the whole study; it replaces the one that is there.

        Notes are kept in the store, and may be written while a study is trained; without a store, they end
        with the process. They are shown in `notes`, the report and the live pages, where ``fairlane ui
        --write`` can change them.

        Args:
            text: the note. Without text and tags, the note that is there is deleted.
            variant: the variant's number; by default the note is about the whole study.
            tags: short texts without commas, by which variants are found on the page.

        Raises:
            StudyError: there is no such variant, or the text or a tag is too long.
            StoreError: the store can't be written.

        Example:
            >>> study.note("the first try")
            >>> study.notes["text"][0]
            'the first try'
        """
        number = None if variant is None else arguments.whole("variant", variant, 0)
        self._store.note(number, note_of(text, tags))
