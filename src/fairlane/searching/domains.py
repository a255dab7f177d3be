"""What one hyperparameter may be: numbers of a range, or values of a list.

In: bounds, or values. Out: `Float`, `Int`, `Choice` and `When`, which turn a number from 0 to 1 into a value,
and back. What is wrong with one is said by `problem`, so that a `fairlane.searching.space.Space` can name it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

_DIGITS = 12
"""Significant digits of the values of a range with a step, so that 0.1 + 2 × 0.1 is 0.3."""


class Domain(ABC):
    """The values that a hyperparameter may have.

    Attributes:
        numeric: whether lanes with different values share one program, as far as the type shows it.
        whole: whether its values are whole numbers: sizes, in which models of one program mostly may differ.
        size: how many values there are; None where there is no end to them.
    """

    numeric: bool
    whole: bool = False
    size: int | None

    @abstractmethod
    def problem(self) -> str:
        """What is wrong with it, in words; empty where nothing is."""

    @abstractmethod
    def value(self, unit: float) -> Any:
        """The value at a place from 0 (inclusive) to 1 (exclusive); equal parts are equally probable."""

    @abstractmethod
    def unit(self, value: Any) -> float:
        """The place of a value: `value` of it is the value again."""

    @abstractmethod
    def values(self) -> list[Any]:
        """All values, in order, where ``size`` is a number."""

    @abstractmethod
    def contains(self, value: Any) -> bool:
        """Whether it has this value."""

    def encode(self, value: Any) -> Any:
        """The value as JSON data."""
        return value

    def decode(self, encoded: Any) -> Any:
        """The value of which `encode` made JSON data."""
        return encoded

    def described(self, text: Callable[[Any], str]) -> str:
        """As ``repr`` of it, with its values by a text that is the same in every process."""
        return repr(self)


class _Range(Domain):
    """Numbers from a lowest to a highest, both included."""

    def __init__(self, low: Any, high: Any, *, log: bool = False, step: Any = None) -> None:
        self.low, self.high, self.log, self.step = low, high, log, step

    def __repr__(self) -> str:
        options = (", log=True" if self.log else "") + ("" if self.step is None else f", step={self.step!r}")
        return f"{type(self).__name__}({self.low!r}, {self.high!r}{options})"

    def problem(self) -> str:
        numbers = [self.low, self.high] + ([] if self.step is None else [self.step])
        for number in numbers:
            if not self._is_number(number):
                return f"{self!r} has the bound or step {number!r}, which is not {self._what}"
        if self.low > self.high:
            return f"{self!r} has no value: low={self.low!r} is larger than high={self.high!r}"
        if self.log and self.low <= 0:
            return f"{self!r} has a logarithmic scale, so low must be larger than 0, not {self.low!r}"
        if self.log and self.step is not None:
            return f"{self!r} has both log=True and step=; give one of them, or a list of the values"
        if self.step is not None and self.step <= 0:
            return f"{self!r} has step={self.step!r}, and a step must be larger than 0"
        return ""

    _what: str

    @staticmethod
    @abstractmethod
    def _is_number(value: Any) -> bool:
        """Whether it can be a bound."""


class Float(_Range):
    """A floating-point number from ``low`` to ``high``, both included.

    Args:
        low: the smallest value.
        high: the largest value.
        log: whether values are drawn evenly on a logarithmic scale, as is usual for a learning rate.
        step: the distance of neighbouring values, from ``low`` on; by default any value is possible.

    Example:
        >>> Float(1e-4, 1e-1, log=True).value(0.5)  # halfway between 1e-4 and 1e-1 on the scale
        0.003162277660168382
        >>> Float(0.0, 0.5, step=0.1).values()
        [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    """

    numeric = True
    _what = "a finite number"

    def __init__(self, low: float, high: float, *, log: bool = False, step: float | None = None) -> None:
        super().__init__(low, high, log=log, step=step)

    @staticmethod
    def _is_number(value: Any) -> bool:
        return not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value)

    @property
    def size(self) -> int | None:  # type: ignore[override]
        """How many values there are, where there is a step."""
        if self.low == self.high:
            return 1
        return None if self.step is None else math.floor((self.high - self.low) / self.step + 1e-9) + 1

    def value(self, unit: float) -> float:
        """The value at a place from 0 to 1."""
        if self.size is not None:
            return self._stepped(min(int(unit * self.size), self.size - 1))
        if not self.log:
            return float(self.low + unit * (self.high - self.low))
        low, high = math.log(self.low), math.log(self.high)
        return min(max(math.exp(low + unit * (high - low)), float(self.low)), float(self.high))

    def unit(self, value: float) -> float:
        """The place of a value."""
        if self.size is not None:
            step = 0 if self.step is None else round((value - self.low) / self.step)
            return (step + 0.5) / self.size
        scale = math.log if self.log else float
        low, high = scale(self.low), scale(self.high)
        return float((scale(value) - low) / (high - low)) if high > low else 0.0

    def values(self) -> list[float]:
        """All values, where there is a step."""
        return [self._stepped(i) for i in range(self.size or 0)]

    def _stepped(self, i: int) -> float:
        if self.step is None or i == 0:
            return float(self.low)
        return float(f"{self.low + i * self.step:.{_DIGITS}g}")

    def contains(self, value: Any) -> bool:
        """Whether it is in the range, and on a step."""
        if not (self._is_number(value) and self.low <= value <= self.high):
            return False
        return self.size is None or math.isclose(self.value(self.unit(value)), value, rel_tol=1e-9)


class Int(_Range):
    """A whole number from ``low`` to ``high``, both included.

    Args:
        low: the smallest value.
        high: the largest value.
        log: whether values are drawn evenly on a logarithmic scale.
        step: the distance of neighbouring values, from ``low`` on.

    Example:
        >>> Int(16, 64, step=16).values(), Int(1, 100, log=True).value(0.5)
        ([16, 32, 48, 64], 7)
    """

    numeric = False
    whole = True
    _what = "a whole number"

    def __init__(self, low: int, high: int, *, log: bool = False, step: int | None = None) -> None:
        super().__init__(low, high, log=log, step=step)

    @staticmethod
    def _is_number(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    @property
    def size(self) -> int:  # type: ignore[override]
        """How many values there are."""
        return int((self.high - self.low) // (self.step or 1)) + 1

    def value(self, unit: float) -> int:
        """The value at a place from 0 to 1."""
        if self.log:  # each number takes the part of the scale that rounds to it
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            found = round(math.exp(low + unit * (high - low)))
            return int(min(max(found, self.low), self.high))
        return int(self.low + min(int(unit * self.size), self.size - 1) * (self.step or 1))

    def unit(self, value: int) -> float:
        """The place of a value."""
        if self.log:
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            return float((math.log(value) - low) / (high - low))
        return float(((value - self.low) // (self.step or 1) + 0.5) / self.size)

    def values(self) -> list[int]:
        """All values."""
        return [int(self.low + i * (self.step or 1)) for i in range(self.size)]

    def contains(self, value: Any) -> bool:
        """Whether it is in the range, and on a step."""
        return (
            self._is_number(value)
            and self.low <= value <= self.high
            and (value - self.low) % (self.step or 1) == 0
        )


class Choice(Domain):
    """One value of a list.

    Args:
        values: numbers, strings, functions, or other objects.
        ordered: whether neighbours in the list are alike, as for numbers of rising size; by default, where
            all values are numbers.

    Example:
        >>> Choice(["relu", "gelu"]).value(0.7), Choice([16, 32, 64]).ordered
        ('gelu', True)
    """

    def __init__(self, values: Sequence[Any], *, ordered: bool | None = None) -> None:
        self._given = values
        listed = list(values) if _is_list(values) else []
        self._values = [_plain(value) for value in listed]
        numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in self._values)
        self.ordered = (
            (numbers and self._values == sorted(self._values)) if ordered is None else bool(ordered)
        )
        self.numeric = all(isinstance(value, float) for value in self._values)
        self.whole = all(type(value) is int for value in self._values)
        self.size = len(self._values)

    def __repr__(self) -> str:
        return self.described(repr)

    def described(self, text: Callable[[Any], str]) -> str:
        """As ``repr`` of it, with its values by a text that is the same in every process."""
        values = ", ".join(map(text, self._values))
        return f"Choice([{values}]{', ordered=True' if self.ordered else ''})"

    def problem(self) -> str:
        """What is wrong with it."""
        if not _is_list(self._given):
            return f"Choice needs a list of values, not {self._given!r}"
        if not self._values:
            return "its list of values is empty, so there is nothing to choose from"
        for i, value in enumerate(self._values):
            if any(_same(value, other) for other in self._values[:i]):
                return f"its list has the value {value!r} twice"
        return ""

    def value(self, unit: float) -> Any:
        """The value at a place from 0 to 1."""
        return self._values[min(int(unit * len(self._values)), len(self._values) - 1)]

    def unit(self, value: Any) -> float:
        """The place of a value."""
        return float((self._place(value) + 0.5) / len(self._values))

    def values(self) -> list[Any]:
        """All values."""
        return list(self._values)

    def contains(self, value: Any) -> bool:
        """Whether it is in the list."""
        return any(_same(value, one) for one in self._values)

    def encode(self, value: Any) -> int:
        """Its place in the list."""
        return self._place(value)

    def decode(self, encoded: Any) -> Any:
        """The value at a place in the list."""
        return self._values[int(encoded)]

    def _place(self, value: Any) -> int:
        return next(i for i, one in enumerate(self._values) if _same(value, one))


class When:
    """A hyperparameter that exists only where others have certain values.

    Elsewhere the builder's default holds.

    Args:
        conditions: name of another hyperparameter → the value, or a list of the values, that it must have.
        domain: what this one may be: as any entry of a space.

    Example:
        >>> When({"optimizer": "sgd"}, Float(0.0, 0.99))
        When({'optimizer': ['sgd']}, Float(0.0, 0.99))
    """

    def __init__(self, conditions: Mapping[str, Any], domain: Any) -> None:
        inner = domain if isinstance(domain, When) else None
        self.conditions: list[tuple[str, list[Any]]] = [
            (name, list(values) if isinstance(values, (list, tuple, set, frozenset)) else [values])
            for name, values in conditions.items()
        ]
        self.domain: Any = domain if inner is None else inner.domain
        self.conditions += [] if inner is None else inner.conditions

    def __repr__(self) -> str:
        return f"When({dict(self.conditions)!r}, {self.domain!r})"

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether the conditions hold for an assignment of the others."""
        return all(
            name in values and any(_same(values[name], one) for one in allowed)
            for name, allowed in self.conditions
        )


def domain_of(given: Any) -> Domain | None:
    """What an entry of a space stands for; None for a fixed value.

    A list, tuple, set or array is a choice. A distribution of Optuna's is what it is there.
    """
    if isinstance(given, Domain):
        return given
    if isinstance(given, set | frozenset):
        return Choice(_in_one_order(given))
    if _is_list(given):
        return Choice(list(given))
    kind = type(given)
    if kind.__module__.startswith("optuna.distributions"):
        if hasattr(given, "choices"):
            return Choice(list(given.choices))
        step = None if given.log or (given.step == 1 and kind.__name__.startswith("Int")) else given.step
        is_int = kind.__name__.startswith("Int")
        return (Int if is_int else Float)(given.low, given.high, log=given.log, step=step)
    return None


def _in_one_order(values: Iterable[Any]) -> list[Any]:
    """The values of a set, whose own order changes with the process."""
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=repr)


def in_order(names: Sequence[str], needs: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Names, each after those that it depends on; those of a circle are left out."""
    left, known = list(names), set[str]()
    while left:
        ready = [name for name in left if all(other in known for other in needs.get(name, ()))]
        if not ready:
            return
        yield from ready
        known.update(ready)
        left = [name for name in left if name not in known]


def _is_list(value: Any) -> bool:
    return not isinstance(value, (str, bytes, Mapping)) and (
        isinstance(value, (Sequence, set, frozenset)) or hasattr(value, "tolist")
    )


def _plain(value: Any) -> Any:
    """NumPy's scalars as Python's, because Keras accepts only these as a learning rate."""
    return value.item() if hasattr(value, "dtype") and getattr(value, "shape", None) == () else value


def _same(a: Any, b: Any) -> bool:
    """Whether two values are one for a search: 1 and True are not."""
    if a is b:
        return True
    try:
        return type(a) is type(b) and bool(a == b)
    except Exception:  # arrays, and objects that refuse to be compared
        return False
