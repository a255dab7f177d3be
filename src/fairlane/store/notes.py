"""What a reader writes beside a study or a variant: a text, and tags.

In: texts. Out: a `Note`. Stores keep notes under the variant's number, or under None for
that about the whole study.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fairlane.errors import StudyError

MOST = 10_000
"""Characters of a note."""
MOST_TAGS = 50
LONGEST_TAG = 100


@dataclass(frozen=True)
class Note:
    """A text, and tags.

    Attributes:
        text: any; may be empty where there are tags.
        tags: words or short texts, each once.
    """

    text: str = ""
    tags: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether it says something; what is empty is not kept."""
        return bool(self.text or self.tags)

    def in_words(self) -> str:
        """The text in one line, and the tags in brackets behind it.

        Example:
            >>> Note("the best", ("good", "long")).in_words()
            'the best [good, long]'
        """
        tags = f"[{', '.join(self.tags)}]" if self.tags else ""
        return " ".join(filter(None, [*self.text.split(), tags]))


def note_of(text: Any, tags: Any = ()) -> Note:
    """A note, checked.

    Args:
        text: up to `MOST` characters.
        tags: a list of up to `MOST_TAGS` texts, without commas and line breaks.

    Raises:
        StudyError: one of them is not of this kind.

    Example:
        >>> note_of("the best until now", ["good", " good ", "long"])
        Note(text='the best until now', tags=('good', 'long'))
    """
    if not isinstance(text, str):
        raise StudyError(f"a note is a text, not {text!r:.100}")
    if len(text) > MOST:
        raise StudyError(f"a note has up to {MOST} characters, and this one has {len(text)}")
    if isinstance(tags, str) or not isinstance(tags, Sequence):
        raise StudyError(f"tags are a list of texts, such as ['good'], not {tags!r:.100}")
    found = tuple(dict.fromkeys(map(_tag, tags)))
    if len(found) > MOST_TAGS:
        raise StudyError(f"a note has up to {MOST_TAGS} tags, and this one has {len(found)}")
    return Note(text.strip(), found)


def _tag(tag: Any) -> str:
    right = isinstance(tag, str) and 0 < len(tag.strip()) <= LONGEST_TAG
    if not right or any(mark in tag for mark in ",\r\n"):
        raise StudyError(
            f"a tag is a text of 1 to {LONGEST_TAG} characters without commas and line breaks, not "
            f"{tag!r:.100}"
        )
    return str(tag.strip())


def no_such_variant(name: str | None, variant: int, count: int) -> StudyError:
    """The error for a variant that a study does not have."""
    which = f"the study {name!r}" if name else "this study"
    there = f"it has the variants 0 to {count - 1}" if count else "it has no variants yet"
    return StudyError(f"there is no variant {variant} in {which}; {there}")
