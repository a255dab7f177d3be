"""One hyperparameter as KerasTuner has it: its values, its default, and where it exists.

In: the arguments of ``hp.Int``, ``hp.Float``, ``hp.Choice``, ``hp.Boolean`` and ``hp.Fixed``. Out: an
`Entry`, which turns a number from 0 to 1 into a value by KerasTuner's rules, and says which domain of
Fairlane's it is.
"""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairlane.errors import StudyError
from fairlane.kerastuner.scales import SAMPLINGS, IntOnScale, ReverseLog, Scale
from fairlane.searching.domains import Choice as FairlaneChoice
from fairlane.searching.domains import Float as FairlaneFloat
from fairlane.searching.domains import Int as FairlaneInt

_LISTED = 1000
"""Up to how many values of a range with a step are listed, so that they are KerasTuner's to the digit."""
_GRID = 10
"""How many values of a range without a step are in a grid, beside the default."""


@dataclass(frozen=True)
class Condition:
    """Another hyperparameter must have one of some values.

    Attributes:
        name: the other's.
        values: those that it may have.
    """

    name: str
    values: tuple[Any, ...]

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it holds for the values of all hyperparameters that exist."""
        return self.name in values and values[self.name] in self.values

    def get_config(self) -> dict[str, Any]:
        """Itself as plain data."""
        return {"class_name": "Parent", "config": {"name": self.name, "values": list(self.values)}}


def condition(name: str, values: Any) -> Condition:
    """The condition of ``hp.conditional_scope``.

    Args:
        name: the other hyperparameter's.
        values: a value, or a list of them.

    Raises:
        StudyError: there is no value, or one of a type that a hyperparameter can't have.
    """
    listed = list(values) if isinstance(values, (list, tuple)) else [values]
    if not listed or not isinstance(listed[0], (str, bool, int, float)):
        raise StudyError(
            f"the scope of {name!r} needs the values that {name!r} must have: numbers, texts, or True and "
            f"False; got {values!r}"
        )
    if isinstance(listed[0], str):
        listed = [str(value) for value in listed]
    elif isinstance(listed[0], int) and not isinstance(listed[0], bool):
        listed = [int(value) for value in listed]
    return Condition(name, tuple(listed))


class Entry(ABC):
    """A hyperparameter of a space. Its name and its conditions identify it.

    Attributes:
        name: with all name scopes.
        conditions: all must hold, or it does not exist.
    """

    def __init__(self, name: str, default: Any, conditions: Sequence[Condition]) -> None:
        self.name = name
        self.conditions = tuple(conditions)
        self._default = default

    @property
    def default(self) -> Any:
        """The value where nothing else is said."""
        return self._default

    @property
    @abstractmethod
    def values(self) -> tuple[Any, ...]:
        """All values; of a range without a step, ten that are spread over it."""

    @abstractmethod
    def prob_to_value(self, prob: float) -> Any:
        """The value at a number from 0 (inclusive) to 1 (exclusive)."""

    @abstractmethod
    def domain(self) -> Any:
        """What it is in a space of Fairlane's: a domain, or the one value."""

    def random_sample(self, seed: Any = None) -> Any:
        """A value, drawn as KerasTuner draws it.

        Args:
            seed: of the draw.
        """
        return self.prob_to_value(random.Random(seed).random())

    def in_grid(self) -> Any:
        """What it is in a grid: the default first, then the others."""
        first = self.default
        others = sorted(set(self.values)) if self._is_sampled else list(dict.fromkeys(self.values))
        return FairlaneChoice([first, *(value for value in others if value != first)], ordered=False)

    _is_sampled = False

    def get_config(self) -> dict[str, Any]:
        """Itself as plain data, with KerasTuner's names."""
        return {
            "name": self.name,
            "default": self.default,
            "conditions": [one.get_config() for one in self.conditions],
        }

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}: {v!r}" for k, v in self.get_config().items() if k != "conditions")
        return f"{type(self).__name__}({shown})"


class _Number(Entry):
    """A number of a range."""

    def __init__(
        self,
        name: str,
        min_value: Any,
        max_value: Any,
        step: Any,
        sampling: Any,
        default: Any,
        conditions: Sequence[Condition],
    ) -> None:
        super().__init__(name, default, conditions)
        self.min_value, self.max_value, self.step = min_value, max_value, step
        self.sampling = "linear" if sampling is None else str(sampling).lower()
        self._check()
        self.scale = Scale(self.sampling, min_value, max_value, step)

    def _check(self) -> None:
        what = f"hp.{type(self).__name__}({self.name!r})"
        if self.min_value > self.max_value:
            raise StudyError(
                f"{what} has no value: min_value={self.min_value} is larger than max_value={self.max_value}"
            )
        if self.sampling not in SAMPLINGS:
            raise StudyError(
                f"{what}: sampling must be one of {', '.join(map(repr, SAMPLINGS))}, not {self.sampling!r}"
            )
        if self.sampling == "linear":
            if self.step is not None and self.step <= 0:
                raise StudyError(f"{what}: step must be larger than 0, not {self.step}")
            return
        if self.min_value <= 0:
            raise StudyError(
                f"{what}: sampling={self.sampling!r} needs a min_value larger than 0, not {self.min_value}"
            )
        if self.step is not None and self.step <= 1:
            raise StudyError(
                f"{what}: with sampling={self.sampling!r}, step is a factor and must be larger than 1, not "
                f"{self.step}"
            )

    @property
    def default(self) -> Any:
        """The value where nothing else is said: else the smallest."""
        return self.min_value if self._default is None else self._default

    @property
    def values(self) -> tuple[Any, ...]:
        """All values; of a range without a step, ten that are spread over it."""
        if self.step is None:
            return tuple(dict.fromkeys(self.prob_to_value(i * 0.1 + 0.05) for i in range(_GRID)))
        return tuple(self._typed(value) for value in self.scale.steps())

    @property
    def _is_sampled(self) -> bool:  # type: ignore[override]
        return self.step is None

    @staticmethod
    @abstractmethod
    def _typed(value: Any) -> Any:
        """As the type that the values have."""

    def _listed(self) -> FairlaneChoice | None:
        """The values with a step as a list, where that is not too long."""
        if self.step is None or self.scale.size() > _LISTED:
            return None
        return FairlaneChoice(list(dict.fromkeys(self.values)), ordered=True)

    def get_config(self) -> dict[str, Any]:
        """Itself as plain data, with KerasTuner's names."""
        return super().get_config() | {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "step": self.step,
            "sampling": self.sampling,
        }


class Float(_Number):
    """A floating-point number."""

    def __init__(self, name: str, min_value: Any, max_value: Any, step: Any, *rest: Any) -> None:
        step = None if step is None else float(step)
        super().__init__(name, float(min_value), float(max_value), step, *rest)

    @staticmethod
    def _typed(value: Any) -> float:
        return float(value)

    def prob_to_value(self, prob: float) -> float:
        """The value at a number from 0 to 1."""
        return self._typed(self.scale.value(prob))

    def domain(self) -> Any:
        """A range of floats, or a list where there is a step."""
        if (listed := self._listed()) is not None:
            return listed
        if self.sampling == "linear" or self.min_value == self.max_value:
            return FairlaneFloat(self.min_value, self.max_value, step=self.step)
        if self.sampling == "log":
            return FairlaneFloat(self.min_value, self.max_value, log=True)
        return ReverseLog(self.min_value, self.max_value)


class Int(_Number):
    """A whole number."""

    def __init__(
        self, name: str, min_value: Any, max_value: Any, step: Any, sampling: Any, *rest: Any
    ) -> None:
        if step is None and sampling in (None, "linear"):
            step = 1
        numbers = {"min_value": min_value, "max_value": max_value, "step": step}
        for argument, number in numbers.items():
            if number is not None and int(number) != number:
                raise StudyError(f"hp.Int({name!r}): {argument} must be a whole number, not {number!r}")
        low, high = int(min_value), int(max_value)
        super().__init__(name, low, high, None if step is None else int(step), sampling, *rest)

    @staticmethod
    def _typed(value: Any) -> int:
        return int(value)

    def prob_to_value(self, prob: float) -> int:
        """The value at a number from 0 to 1."""
        if self.step is None:  # so that the largest has its share, too
            return min(self._typed(self.scale.value(prob, self.max_value + 1)), int(self.max_value))
        return self._typed(self.scale.value(prob))

    def domain(self) -> Any:
        """A range of whole numbers, or a list where the step is a factor."""
        if self.sampling == "linear":
            return FairlaneInt(self.min_value, self.max_value, step=None if self.step == 1 else self.step)
        listed = self._listed()
        return IntOnScale(self.sampling, self.min_value, self.max_value) if listed is None else listed

    def get_config(self) -> dict[str, Any]:
        """Itself as plain data, with KerasTuner's names."""
        return super().get_config() | {"default": self._default}


class Choice(Entry):
    """One of a list of values."""

    def __init__(
        self, name: str, values: Any, ordered: bool | None, default: Any, conditions: Sequence[Condition]
    ) -> None:
        listed = list(values) if isinstance(values, (list, tuple)) else []
        what = f"hp.Choice({name!r})"
        if not listed:
            raise StudyError(f"{what} needs a list of values, not {values!r}")
        types = {type(value) for value in listed}
        if len(types) > 1:
            names = ", ".join(sorted(one.__name__ for one in types))
            raise StudyError(f"{what}: all values must be of one type, and {listed!r} has {names}")
        if not isinstance(listed[0], (str, int, float)):
            raise StudyError(
                f"{what}: values must be whole numbers, floats, texts or booleans, not {listed[0]!r}; to "
                "choose between functions, give their names and look the function up in build"
            )
        if isinstance(listed[0], int):  # True and False are 1 and 0, as in KerasTuner
            listed = [int(value) for value in listed]
            default = None if default is None else int(default)
        if default is not None and default not in listed:
            raise StudyError(f"{what}: the default {default!r} is not one of the values {listed!r}")
        is_number = isinstance(listed[0], (int, float))
        if ordered and not is_number:
            raise StudyError(f"{what}: ordered=True is for numbers only, and these are texts: {listed!r}")
        super().__init__(name, default, conditions)
        self._values = tuple(listed)
        self.ordered = is_number if ordered is None else bool(ordered)

    @property
    def default(self) -> Any:
        """The value where nothing else is said: else the first."""
        return self._values[0] if self._default is None else self._default

    @property
    def values(self) -> tuple[Any, ...]:
        """All values, as given."""
        return self._values

    def prob_to_value(self, prob: float) -> Any:
        """The value at a number from 0 to 1."""
        size = len(self._values)
        return self._values[min(math.floor(prob / (1 / size)), size - 1)]

    def domain(self) -> FairlaneChoice:
        """A choice; a value that is given twice is in it once."""
        return FairlaneChoice(list(dict.fromkeys(self._values)), ordered=self.ordered)

    def get_config(self) -> dict[str, Any]:
        """Itself as plain data, with KerasTuner's names."""
        return super().get_config() | {"values": list(self._values), "ordered": self.ordered}


class Boolean(Entry):
    """True or False."""

    def __init__(self, name: str, default: Any, conditions: Sequence[Condition]) -> None:
        if default not in (True, False):
            raise StudyError(f"hp.Boolean({name!r}): the default must be True or False, not {default!r}")
        super().__init__(name, default, conditions)

    @property
    def values(self) -> tuple[Any, ...]:
        """Both."""
        return (True, False)

    def prob_to_value(self, prob: float) -> bool:
        """True for the upper half."""
        return prob >= 0.5

    def domain(self) -> FairlaneChoice:
        """A choice."""
        return FairlaneChoice([False, True], ordered=False)


class Fixed(Entry):
    """One value."""

    def __init__(self, name: str, value: Any, conditions: Sequence[Condition]) -> None:
        if not isinstance(value, (str, int, float)):
            raise StudyError(
                f"hp.Fixed({name!r}): the value must be a number, a text, True or False, not {value!r}"
            )
        super().__init__(name, value, conditions)
        self.value = value

    @property
    def values(self) -> tuple[Any, ...]:
        """The one."""
        return (self.value,)

    def prob_to_value(self, prob: float) -> Any:
        """The one."""
        return self.value

    def domain(self) -> Any:
        """The value itself."""
        return self.value

    def in_grid(self) -> Any:
        """The value itself."""
        return self.value

    def get_config(self) -> dict[str, Any]:
        """Itself as plain data, with KerasTuner's names."""
        config = super().get_config()
        return {"name": config["name"], "conditions": config["conditions"], "value": self.value}
