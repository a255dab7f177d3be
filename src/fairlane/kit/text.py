"""Words in messages: numbers with their noun, lists of words, and the name that was probably meant.

In: numbers, names, words. Out: a piece of a sentence.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any


def plural(number: int, word: str) -> str:
    """A number and what is counted.

    Example:
        >>> plural(1, "epoch"), plural(3, "epoch")
        ('1 epoch', '3 epochs')
    """
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def nearest(word: Any, options: Iterable[str], likeness: float = 0.6) -> str:
    """The option that is most like a word; empty where none is.

    Args:
        word: what was given.
        options: what could have been given.
        likeness: from 0 (take any) to 1 (take only the same), as in `difflib.get_close_matches`.
    """
    return next(iter(difflib.get_close_matches(str(word), list(options), n=1, cutoff=likeness)), "")


def did_you_mean(word: Any, options: Iterable[str]) -> str:
    """A sentence, with a space before it; empty where no option is like the word.

    Example:
        >>> did_you_mean("val_los", ["loss", "val_loss"]), did_you_mean("f1", ["loss"])
        (" Did you mean 'val_loss'?", '')
    """
    near = nearest(word, options)
    return f" Did you mean {near!r}?" if near else ""


def listing(words: Sequence[str]) -> str:
    """Words as a list in a sentence.

    Example:
        >>> listing(["a"]), listing(["a", "b", "c"])
        ('a', 'a, b and c')
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
