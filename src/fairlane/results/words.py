"""Small pieces of text that messages and pages are made of.

In: counts, numbers and texts. Out: text.
"""

from __future__ import annotations

from collections.abc import Sequence


def plural(number: int, word: str) -> str:
    """A count with its word.

    Args:
        number: how many.
        word: the word for one.

    Example:
        >>> plural(1, "seed"), plural(3, "seed")
        ('1 seed', '3 seeds')
    """
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def listed(texts: Sequence[str], most: int, between: str = ", ") -> str:
    """Some texts in a row, and how many more there are.

    Args:
        texts: all of them.
        most: how many to show.
        between: what stands between two.

    Example:
        >>> listed(["a", "b", "c"], 2)
        'a, b and 1 more'
    """
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return between.join(texts[:most]) + more
