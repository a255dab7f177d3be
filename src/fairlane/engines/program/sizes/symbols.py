"""Sizes of several models → symbols: all sizes are written as a few unknown numbers.

In: the sizes of models of one code (`Structure.sizes`), as they were met. Out: a `Pattern`, which has for
each size a constant, or an expression such as ``2*a`` or ``b + 64``; and the symbols' values for another
model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

SMALLEST, LARGEST = 2, 2**20
"""What a symbol stands for: an axis of one element is broadcast, so that other operations run on it."""

Env = Mapping[str, int]
"""The values of the symbols for one model."""


class NotAPattern(Exception):
    """The sizes of some models can't be written with symbols."""


@dataclass(frozen=True)
class Term:
    """A size: ``factor * symbol + offset``; a constant where there is no symbol."""

    symbol: str
    factor: int
    offset: int

    def at(self, env: Env) -> int:
        """Its value for a model."""
        return self.factor * env[self.symbol] + self.offset

    def of(self, symbols: Mapping[str, Any]) -> Any:
        """The same with JAX's symbolic dimensions."""
        return self.factor * symbols[self.symbol] + self.offset


@dataclass(eq=False)
class Pattern:
    """How the sizes of models follow from a few of them.

    Attributes:
        columns: each symbol's values in the models that are known.
        entries: for each size a `Term`, a tuple of these and of constants, or a constant.
    """

    columns: dict[str, tuple[int, ...]] = field(default_factory=dict)
    entries: list[Any] = field(default_factory=list)

    @classmethod
    def of(cls, models: Sequence[Sequence[Any]]) -> Pattern:
        """The pattern of some models' sizes.

        Raises:
            NotAPattern: they differ in something else than whole numbers, or are not as many.
        """
        if len(set(map(len, models))) > 1:
            raise NotAPattern("models of the same classes have other numbers of sizes")
        pattern = cls()
        rows = [[one if isinstance(one, tuple) else (one,) for one in model] for model in models]
        places = list(zip(*rows, strict=True))
        if any(len(set(map(len, place))) > 1 for place in places):
            raise NotAPattern("an array has other axes in each model")
        differing = {column for place in places for column in zip(*place, strict=True) if _differs(column)}
        for column in sorted(differing):  # the smallest first, of which others are multiples
            pattern.term(column)
        for whole, place in zip(models[0], places, strict=True):
            terms = tuple(pattern.term(column) for column in zip(*place, strict=True))
            pattern.entries.append(terms if isinstance(whole, tuple) else terms[0])
        return pattern

    def term(self, column: Sequence[Any]) -> Any:
        """A size by its values in the models that are known: a constant, or an expression."""
        column = tuple(column)
        if not _differs(column):
            return column[0]
        found = [term for name in self.columns if (term := self._affine(name, column))]
        if found:  # a multiple, or a sum, is more probable than both at once
            return min(found, key=lambda term: (term.factor != 1) + (term.offset != 0))
        name = f"s{len(self.columns)}"
        self.columns[name] = column
        return Term(name, 1, 0)

    def _affine(self, name: str, column: Sequence[int]) -> Term | None:
        """A size as a multiple of a symbol and something more."""
        known = self.columns[name]
        low, high = int(np.argmin(known)), int(np.argmax(known))
        factor, rest = divmod(column[high] - column[low], known[high] - known[low])
        term = Term(name, factor, column[low] - factor * known[low])
        fits = all(term.at({name: k}) == c for k, c in zip(known, column, strict=True))
        return term if rest == 0 and factor > 0 and fits else None

    def env(self, sizes: Sequence[Any]) -> Env | None:
        """The symbols' values for another model; None where its sizes are not of this pattern."""
        if len(sizes) != len(self.entries):
            return None
        pairs: list[tuple[Any, Any]] = []
        for entry, size in zip(self.entries, sizes, strict=True):
            if isinstance(entry, tuple):
                if not isinstance(size, tuple) or len(size) != len(entry):
                    return None
                pairs += zip(entry, size, strict=True)
            else:
                pairs.append((entry, size))
        env: dict[str, int] = {}
        for entry, size in pairs:
            if isinstance(entry, Term) and (entry.factor, entry.offset) == (1, 0) and type(size) is int:
                env.setdefault(entry.symbol, size)
        if env.keys() != self.columns.keys() or not all(SMALLEST <= v <= LARGEST for v in env.values()):
            return None
        return env if all(_is_at(entry, size, env) for entry, size in pairs) else None

    def symbols(self) -> dict[str, Any]:
        """A symbolic dimension of JAX's for each symbol."""
        limits = [f"{name} {limit}" for name in self.columns for limit in (f">= {SMALLEST}", f"<= {LARGEST}")]
        scope = jax.export.SymbolicScope(limits)
        return dict(
            zip(self.columns, jax.export.symbolic_shape(",".join(self.columns), scope=scope), strict=True)
        )


def _differs(column: Sequence[Any]) -> bool:
    """Whether a size is not the same in all models."""
    if all(type(one) is type(column[0]) and repr(one) == repr(column[0]) for one in column):
        return False
    if any(type(one) is not int or one < 1 for one in column):
        raise NotAPattern("the models differ in constants that are no sizes")
    return True


def _is_at(entry: Any, size: Any, env: Env) -> bool:
    if isinstance(entry, Term):
        return type(size) is int and entry.at(env) == size
    return type(size) is type(entry) and repr(size) == repr(entry)
