"""All hyperparameters of a search, and what each may be.

In: a dict. Out: a `Space`, checked: it makes variants of points in a unit cube, and says how many there are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fairlane.errors import StudyError
from fairlane.kit.text import did_you_mean
from fairlane.searching.domains import Domain, When, domain_of, in_order
from fairlane.trials import short


class Space:
    """The hyperparameters of a search.

    Args:
        given: name → `Float`, `Int`, `Choice`, `When`, a list (a choice), one of Optuna's distributions, or
            another value, which is the same for all variants.

    Attributes:
        domains: name → what it may be, of those that vary, each after those that its condition names.
        fixed: name → value, of those that do not vary.

    Raises:
        StudyError: an entry is not possible; the message names it.

    Example:
        >>> from fairlane import Float, Space
        >>> space = Space({"learning_rate": Float(1e-4, 1e-1, log=True), "units": [16, 32], "rate": 0.5})
        >>> print(space)
        learning_rate  Float(0.0001, 0.1, log=True)
        units          Choice([16, 32], ordered=True)
        rate           0.5
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        if not isinstance(given, Mapping):
            raise StudyError(
                "a space must be a dict, such as {'learning_rate': fairlane.Float(1e-4, 1e-1, log=True), "
                f"'units': [16, 32, 64]}}; got {type(given).__name__}"
            )
        self._given = dict(given)
        self._when = {name: one for name, one in given.items() if isinstance(one, When)}
        self.domains: dict[str, Domain] = {}
        self.fixed: dict[str, Any] = {}
        inner = {name: one.domain if isinstance(one, When) else one for name, one in given.items()}
        self._order = self._sorted()
        for name in self._order:
            domain = domain_of(inner[name])
            if domain is None:
                self.fixed[name] = inner[name]
                continue
            if problem := domain.problem():
                raise StudyError(f"the space of {name!r} is not possible: {problem}")
            self.domains[name] = domain
        self._check_conditions()

    def _sorted(self) -> list[str]:
        for name in self._given:
            if not isinstance(name, str):
                raise StudyError(f"a hyperparameter's name must be a string, not {name!r}")
        needs = {name: [other for other, _ in one.conditions] for name, one in self._when.items()}
        for name, others in needs.items():
            for other in others:
                if other not in self._given:
                    raise StudyError(
                        f"{name!r} depends on {other!r}, which is not in the space."
                        + did_you_mean(other, list(self._given))
                    )
        found = list(in_order(list(self._given), needs))
        if len(found) < len(self._given):
            circle = ", ".join(repr(name) for name in self._given if name not in found)
            raise StudyError(f"the conditions of {circle} depend on each other in a circle")
        return found

    def _check_conditions(self) -> None:
        """Refuse a condition that never holds."""
        for name, when in self._when.items():
            for other, allowed in when.conditions:
                for value in allowed:
                    domain = self.domains.get(other)
                    possible = domain.contains(value) if domain else value == self.fixed[other]
                    if not possible:
                        raise StudyError(
                            f"{name!r} exists only where {other!r} is {short(value)}, and the space of "
                            f"{other!r} has no such value"
                        )

    def __repr__(self) -> str:
        return f"Space({self._given!r})"

    def __str__(self) -> str:
        return self._listed(repr, short)

    def described(self, text: Callable[[Any], str]) -> str:
        """As ``str`` of it, with all that tells one value from another.

        Args:
            text: of a value, the same in every process.
        """
        return self._listed(lambda domain: domain.described(text), text)

    def _listed(self, of_domain: Callable[[Domain], str], of_value: Callable[[Any], str]) -> str:
        width = max((len(name) for name in self._given), default=0)
        lines = []
        for name in self._given:
            domain = self.domains.get(name)
            what = of_domain(domain) if domain else of_value(self.fixed[name])
            conditions = [
                f"{other} is {' or '.join(map(of_value, allowed))}"
                for other, allowed in (self._when[name].conditions if name in self._when else ())
            ]
            where = f", where {' and '.join(conditions)}" if conditions else ""
            lines.append(f"{name:{width}}  {what}{where}")
        return "\n".join(lines)

    @property
    def names(self) -> list[str]:
        """All names, in the order given."""
        return list(self._given)

    @property
    def has_conditions(self) -> bool:
        """Whether some hyperparameters exist only where others have certain values."""
        return bool(self._when)

    def exists(self, name: str, values: Mapping[str, Any]) -> bool:
        """Whether a hyperparameter exists beside others.

        Args:
            name: whose.
            values: of those that come before it.
        """
        return name not in self._when or self._when[name].holds(values)

    def assigned(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """A variant's hyperparameters, in the order given: those that exist, with the fixed ones.

        Args:
            values: name → value, of all that vary and may exist.
        """
        made: dict[str, Any] = {}
        for name in self._order:  # each after those that its condition names
            if self.exists(name, made):
                made[name] = self.fixed[name] if name in self.fixed else values[name]
        return {name: made[name] for name in self._given if name in made}

    def at(self, point: Sequence[float]) -> dict[str, Any]:
        """The variant at a point.

        Args:
            point: a number from 0 (inclusive) to 1 (exclusive) for each of ``domains``.
        """
        pairs = zip(self.domains.items(), point, strict=True)
        return self.assigned({name: domain.value(unit) for (name, domain), unit in pairs})

    def encode(self, variant: Mapping[str, Any]) -> dict[str, Any]:
        """A variant as JSON data: what varies and exists."""
        return {
            name: domain.encode(variant[name]) for name, domain in self.domains.items() if name in variant
        }

    def decode(self, encoded: Mapping[str, Any]) -> dict[str, Any]:
        """The variant of which `encode` made JSON data."""
        values = {name: d.decode(encoded[name]) for name, d in self.domains.items() if name in encoded}
        first = {name: domain.value(0.0) for name, domain in self.domains.items()}
        return self.assigned({**first, **values})

    def key(self, variant: Mapping[str, Any]) -> tuple[Any, ...]:
        """Equal for equal variants of this space."""
        return tuple(sorted((name, repr(value)) for name, value in self.encode(variant).items()))

    @property
    def size(self) -> int | None:
        """How many variants there are; None where there is no end to them."""
        return self.count(list(self.domains))

    @property
    def kinds(self) -> int | None:
        """How many programs it needs where all whole numbers are sizes: the combinations of all the rest."""
        return self.count([name for name, one in self.domains.items() if not (one.numeric or one.whole)])

    @property
    def has_numbers(self) -> bool:
        """Whether there is a hyperparameter whose values share one program."""
        return any(domain.numeric for domain in self.domains.values())

    def count(self, names: Sequence[str]) -> int | None:
        """How many combinations of values some hyperparameters have; None where there is no end to them.

        Args:
            names: the hyperparameters; those that do not vary count for nothing.
        """
        names = [name for name in names if name in self.domains]
        sizes = [self.domains[name].size for name in names]
        if any(size is None for size in sizes):
            return None
        product = math.prod(size or 0 for size in sizes)
        if not self.has_conditions or product > _COUNTED:
            return product
        return len({self._restricted(one, names) for one in self._combinations(names)})

    def _restricted(self, values: Mapping[str, Any], names: Sequence[str]) -> tuple[Any, ...]:
        filled = {name: values.get(name, self.domains[name].value(0.0)) for name in self.domains}
        made = self.encode(self.assigned(filled))
        return tuple((name, repr(made[name])) for name in names if name in made)

    def _combinations(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        for values in itertools.product(*(self.domains[name].values() for name in names)):
            yield dict(zip(names, values, strict=True))

    def grid(self) -> Iterator[dict[str, Any]]:
        """All variants, each once, the last hyperparameter first.

        Raises:
            StudyError: there is no end to them; the message names the hyperparameter.
        """
        for name, domain in self.domains.items():
            if domain.size is None:
                raise StudyError(
                    f"a grid needs a list of values for {name!r}, and {domain!r} has no end of them: give "
                    "step=, or a list"
                )
        seen = set()
        for values in self._combinations(list(self.domains)):
            variant = self.assigned(values)
            if (key := self.key(variant)) not in seen:
                seen.add(key)
                yield variant


_COUNTED = 20_000
"""Up to how many combinations those that conditions make equal are counted once."""
