"""Entries of KerasTuner's kind → a space for `fairlane.search`, and a variant of it → values for ``hp``.

In: `HyperParameters` with all entries. Out: a `Translation`. In Fairlane, a name is there once. So an entry
whose name is taken, or is that of a column of the results, gets a longer name there.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from fairlane.kerastuner.entries import Condition, Entry
from fairlane.kerastuner.hyperparameters import HyperParameters
from fairlane.searching.domains import Choice, Domain, When
from fairlane.trials import RESERVED_COLUMNS


@dataclass(frozen=True)
class _Column:
    """An entry in a space of Fairlane's: its key there, and all that must hold for it to exist."""

    key: str
    entry: Entry
    conditions: Mapping[str, list[Any]]
    closure: Mapping[str, list[Any]]


class Translation:
    """Between the names and values of ``hp`` and those of a search.

    Args:
        hps: all entries.
    """

    def __init__(self, hps: HyperParameters) -> None:
        self._hps = hps
        self._columns: list[_Column] = []
        for entry in hps.space:
            self._columns += list(self._columns_of(entry))

    def _columns_of(self, entry: Entry) -> Iterator[_Column]:
        """One column for each way in which the conditions can hold."""
        ways = [list(self._ways(one)) for one in entry.conditions]
        for way in itertools.product(*ways):
            conditions: dict[str, list[Any]] = {}
            closure: dict[str, list[Any]] = {}
            for parent, allowed in way:
                _narrow(conditions, {parent.key: allowed})
                _narrow(closure, {**parent.closure, parent.key: allowed})
            if all(closure.values()):
                yield _Column(self._key(entry), entry, conditions, closure)

    def _ways(self, condition: Condition) -> Iterator[tuple[_Column, list[Any]]]:
        for column in self._columns:
            if column.entry.name == condition.name:
                domain = column.entry.domain()
                if isinstance(domain, Choice):  # its own values, since 1 and True are not the same for it
                    allowed = [value for value in domain.values() if value in condition.values]
                elif isinstance(domain, Domain):
                    allowed = [value for value in condition.values if domain.contains(value)]
                else:
                    allowed = [domain] if domain in condition.values else []
                if allowed:
                    yield column, allowed

    def _key(self, entry: Entry) -> str:
        taken = {column.key for column in self._columns} | RESERVED_COLUMNS
        if entry.name not in taken:
            return entry.name
        where = ", ".join(f"{c.name}={'|'.join(map(str, c.values))}" for c in entry.conditions)
        first = f"{entry.name} ({where})" if where else f"{entry.name}_"
        numbered = (f"{first} {i}" for i in itertools.count(2))
        return next(key for key in itertools.chain([first], numbered) if key not in taken)

    def space(self, grid: bool = False) -> dict[str, Any]:
        """The space, as `fairlane.search` takes it.

        Args:
            grid: whether ranges are lists, with the default first.
        """
        made = {}
        for column in self._columns:
            domain = column.entry.in_grid() if grid else column.entry.domain()
            made[column.key] = When(column.conditions, domain) if column.conditions else domain
        return made

    def hyperparameters(self, variant: Mapping[str, Any]) -> HyperParameters:
        """All entries, with the values of a variant.

        Args:
            variant: the values by the names of the space.
        """
        hp = self._hps.copy()
        hp.values = {c.entry.name: variant[c.key] for c in self._columns if c.key in variant}
        return hp

    def builder(self, build: Callable[[HyperParameters], keras.Model]) -> Callable[..., keras.Model]:
        """A builder for `fairlane.search`.

        Args:
            build: makes a model of ``hp``.
        """

        def built(**values: Any) -> keras.Model:
            return build(self.hyperparameters(values))

        # All names are the builder's own, also those that Model.fit has, such as batch_size.
        kind = inspect.Parameter
        names = [column.key for column in self._columns if column.key.isidentifier()]
        own = [kind(name, kind.KEYWORD_ONLY, default=None) for name in names]
        signature = inspect.Signature([*own, kind("others", kind.VAR_KEYWORD)])
        built.__signature__ = signature  # type: ignore[attr-defined]
        return built


def _narrow(into: dict[str, list[Any]], more: Mapping[str, list[Any]]) -> None:
    """Keep only values that both allow."""
    for key, allowed in more.items():
        into[key] = [value for value in into.get(key, allowed) if value in allowed]
