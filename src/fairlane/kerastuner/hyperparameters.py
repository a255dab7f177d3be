"""The ``hp`` that a build function takes: a space that grows with each request, and a variant's values.

In: requests (``hp.Int(...)`` and so on), in the scopes where they are made. Out: a value for each; and the
space of all entries that were ever requested. The rules are KerasTuner's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from fairlane.errors import StudyError
from fairlane.kerastuner.entries import Condition, Entry, condition
from fairlane.kerastuner.requests import Requests
from fairlane.kit.text import did_you_mean


class UnknownHyperParameter(StudyError, KeyError):
    """A value was requested of a hyperparameter that does not exist."""

    def __str__(self) -> str:
        return str(self.args[0])


class HyperParameters(Requests):
    """The hyperparameters of a search, and their values in one variant.

    A request gives the value of this variant. Where the variant has none yet, it is the default; where a
    condition does not hold, it is None. Requests with the same name and conditions are one hyperparameter.

    Attributes:
        values: name → value, of those that exist in this variant.

    Example:
        >>> from fairlane import kerastuner as kt
        >>> hp = kt.HyperParameters()
        >>> hp.Int("units", 32, 128, step=32), hp.Choice("activation", ["relu", "tanh"])
        (32, 'relu')
        >>> hp.values["units"] = 96
        >>> hp.Int("units", 32, 128, step=32), hp.get("units")
        (96, 96)
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.active_scopes: list[tuple[Condition, ...]] = []
        self.inactive_scopes: list[tuple[Condition, ...]] = []
        self._space: list[Entry] = []
        self._name_scopes: list[str] = []
        self._conditions: list[Condition] = []

    @property
    def space(self) -> list[Entry]:
        """All entries, in the order in which they were first requested.

        Example:
            >>> from fairlane import kerastuner as kt
            >>> hp = kt.HyperParameters()
            >>> rate = hp.Float("rate", 0.0, 0.5)
            >>> [entry.name for entry in hp.space]
            ['rate']
        """
        return self._space

    # Scopes

    @contextmanager
    def name_scope(self, name: str) -> Iterator[None]:
        """Put a name before those of all hyperparameters that are requested inside.

        Args:
            name: it.

        Example:
            >>> from fairlane import kerastuner as kt
            >>> hp = kt.HyperParameters()
            >>> with hp.name_scope("head"):
            ...     units = hp.Int("units", 8, 64)
            >>> hp.values
            {'head/units': 8}
        """
        self._name_scopes.append(name)
        try:
            yield
        finally:
            self._name_scopes.pop()

    @contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Any) -> Iterator[None]:
        """Hyperparameters that are requested inside exist only where another has certain values.

        The code inside runs in any case; where the condition does not hold, each request gives None.

        Args:
            parent_name: the other hyperparameter's name.
            parent_values: the values that it must have, or one value.

        Raises:
            StudyError: it was not requested before, in the same scope.

        Example:
            >>> from fairlane import kerastuner as kt
            >>> hp = kt.HyperParameters()
            >>> kind = hp.Choice("optimizer", ["adam", "sgd"])
            >>> with hp.conditional_scope("optimizer", ["sgd"]):
            ...     print(hp.Float("momentum", 0.0, 0.9))
            None
        """
        parent = self._full(parent_name)
        if not self._exists(parent, self._conditions):
            raise StudyError(
                f"hp.conditional_scope({parent_name!r}): {parent!r} was not requested before in this scope."
                f"{did_you_mean(parent, [entry.name for entry in self._space])} Request it before the scope "
                "opens"
            )
        self._conditions.append(condition(parent, parent_values))
        scopes = self.active_scopes if self._conditions[-1].holds(self.values) else self.inactive_scopes
        scopes.append(tuple(self._conditions))
        try:
            yield
        finally:
            self._conditions.pop()

    # Values

    def get(self, name: str) -> Any:
        """The value of a hyperparameter in this variant.

        Args:
            name: its name, without the name scopes that are open now.

        Raises:
            StudyError: it does not exist in this variant, or was never requested.

        Example:
            >>> from fairlane import kerastuner as kt
            >>> hp = kt.HyperParameters()
            >>> units = hp.Int("units", 8, 64)
            >>> hp.get("units"), hp["units"], "layers" in hp
            (8, 8, False)
        """
        full = self._full(name)
        if full in self.values:
            return self.values[full]
        names = [entry.name for entry in self._space]
        if full in names:
            raise StudyError(f"the hyperparameter {full!r} does not exist here: its condition does not hold")
        raise UnknownHyperParameter(f"there is no hyperparameter {full!r}.{did_you_mean(full, names)}")

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __contains__(self, name: str) -> bool:
        return self._full(name) in self.values

    def is_active(self, hyperparameter: str | Entry) -> bool:
        """Whether all conditions of a hyperparameter hold in this variant.

        Args:
            hyperparameter: an entry of ``space``, or a name; of several entries of this name, any counts.

        Example:
            >>> from fairlane import kerastuner as kt
            >>> hp = kt.HyperParameters()
            >>> units = hp.Int("units", 8, 64)
            >>> hp.is_active("units"), hp.is_active("layers")
            (True, False)
        """
        if isinstance(hyperparameter, Entry):
            return all(one.holds(self.values) for one in hyperparameter.conditions)
        return any(self.is_active(entry) for entry in self._space if entry.name == hyperparameter)

    def ensure_active_values(self) -> None:
        """Give the default to each hyperparameter that exists and has no value; remove the others' values.

        Example:
            >>> from fairlane import kerastuner as kt
            >>> hp = kt.HyperParameters()
            >>> units = hp.Int("units", 8, 64)
            >>> del hp.values["units"]
            >>> hp.ensure_active_values()
            >>> hp.values
            {'units': 8}
        """
        there = dict[str, Any]()
        for entry in self._space:
            if all(one.holds(there) for one in entry.conditions):
                there.setdefault(entry.name, self.values.get(entry.name, entry.default))
        self.values = there

    # The whole

    def copy(self) -> HyperParameters:
        """The same space and values, which can be changed by themselves.

        Example:
            >>> from fairlane import kerastuner as kt
            >>> hp = kt.HyperParameters()
            >>> other = hp.copy()
            >>> units = other.Int("units", 8, 64)
            >>> len(hp.space), len(other.space)
            (0, 1)
        """
        made = HyperParameters()
        made._space = list(self._space)
        made.values = dict(self.values)
        return made

    def merge(self, hps: HyperParameters | Sequence[Entry], overwrite: bool = True) -> None:
        """Add the entries of another.

        Args:
            hps: the other, or entries of its space.
            overwrite: whether values are put to the defaults of those entries; else entries that are there
                stay as they are.

        Example:
            >>> from fairlane import kerastuner as kt
            >>> hp, other = kt.HyperParameters(), kt.HyperParameters()
            >>> units = other.Int("units", 8, 64)
            >>> hp.merge(other)
            >>> hp.values
            {'units': 8}
        """
        for entry in list(hps.space if isinstance(hps, HyperParameters) else hps):
            there = self._exists(entry.name, entry.conditions)
            if not there:
                self._space.append(entry)
            if self.is_active(entry) and (overwrite or not there):
                self.values[entry.name] = entry.default

    def missing_from(self, other: HyperParameters) -> list[Entry]:
        """The entries that another does not have.

        Args:
            other: the other.

        Example:
            >>> from fairlane import kerastuner as kt
            >>> hp = kt.HyperParameters()
            >>> units = hp.Int("units", 8, 64)
            >>> len(hp.missing_from(kt.HyperParameters()))
            1
        """
        return [entry for entry in self._space if not other._exists(entry.name, entry.conditions)]

    def _value_of(self, entry: Entry) -> Any:
        """The value of a request; one that is not there yet is added."""
        if not self._exists(entry.name, entry.conditions):
            if any(one.name == entry.name for one in entry.conditions):
                raise StudyError(
                    f"{entry.name!r} is requested in a scope that depends on {entry.name!r} itself; give it "
                    "another name"
                )
            self._space.append(entry)
        if not self.is_active(entry):
            return None
        return self.values.setdefault(entry.name, entry.default)

    def _exists(self, name: str, conditions: Sequence[Condition]) -> bool:
        return any(e.name == name and e.conditions == tuple(conditions) for e in self._space)

    def _full(self, name: str) -> str:
        return "/".join([*self._name_scopes, str(name)])

    def _parent(self, name: str | None, values: Any) -> Any:
        return self.conditional_scope(name, values) if name else nullcontext()
