"""KerasTuner's scales of numbers: from a number from 0 to 1 to a number of a range.

In: a sampling (``"linear"``, ``"log"``, ``"reverse_log"``), bounds, and a step, which is added on the linear
scale and multiplied on the others. Out: values; and domains for the scales that Fairlane does not have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fairlane.searching.domains import Float, Int

SAMPLINGS = ("linear", "log", "reverse_log")


@dataclass(frozen=True)
class Scale:
    """How the numbers from 0 to 1 are spread over a range.

    Attributes:
        sampling: ``"linear"``, ``"log"``, or ``"reverse_log"``, which is dense at the upper end.
        low: the smallest value.
        high: the largest.
        step: what is added, or multiplied; None for no step.

    Example:
        >>> Scale("log", 1, 100, None).value(0.5), list(Scale("log", 2, 32, 2).steps())
        (10.0, [2.0, 4.0, 8.0, 16.0, 32.0])
    """

    sampling: str
    low: Any
    high: Any
    step: Any = None

    def value(self, prob: float, high: Any = None) -> Any:
        """The value at a number.

        Args:
            prob: from 0 (inclusive) to 1 (exclusive).
            high: another upper end.
        """
        if self.step is not None:
            size = self.size()
            return self._at(min(math.floor(prob / (1 / size)), size - 1))
        high = self.high if high is None else high
        if self.sampling == "linear":
            return prob * (high - self.low) + self.low
        if self.sampling == "log":
            return self.low * math.pow(high / self.low, prob)
        return high + self.low - self.low * math.pow(high / self.low, 1 - prob)

    def prob(self, value: Any, high: Any = None) -> float:
        """The number at which a value is, of a range without a step.

        Args:
            value: in the range.
            high: another upper end.
        """
        high = self.high if high is None else high
        if high == self.low:
            return 0.5
        if self.sampling == "linear":
            return float((value - self.low) / (high - self.low))
        if self.sampling == "log":
            return math.log(value / self.low) / math.log(high / self.low)
        return 1.0 - math.log((high + self.low - value) / self.low) / math.log(high / self.low)

    def size(self) -> int:
        """How many values there are with the step."""
        if self.sampling == "linear":
            return int((self.high - self.low) // self.step + 1)
        return int(math.log(self.high / self.low, self.step) + 1e-8) + 1

    def steps(self) -> list[Any]:
        """All values with the step."""
        return [self._at(i) for i in range(self.size())]

    def _at(self, i: int) -> Any:
        if self.sampling == "linear":
            return self.low + i * self.step
        grown = self.low * math.pow(self.step, i)
        return grown if self.sampling == "log" else self.high + self.low - grown


class ReverseLog(Float):
    """A float whose values are dense at the upper end.

    Args:
        low: the smallest value, larger than 0.
        high: the largest.

    Example:
        >>> ReverseLog(1.0, 100.0).value(0.5)
        91.0
    """

    def __init__(self, low: float, high: float) -> None:
        super().__init__(low, high)
        self._scale = Scale("reverse_log", low, high)

    def __repr__(self) -> str:
        return f"Float({self.low!r}, {self.high!r}, sampling='reverse_log')"

    def value(self, unit: float) -> float:
        """The value at a place from 0 to 1."""
        return float(min(max(self._scale.value(unit), self.low), self.high))

    def unit(self, value: float) -> float:
        """The place of a value."""
        return min(max(self._scale.prob(value), 0.0), 1.0)


class IntOnScale(Int):
    """A whole number without a step, on KerasTuner's logarithmic scales.

    Args:
        sampling: ``"log"`` or ``"reverse_log"``.
        low: the smallest value, larger than 0.
        high: the largest.

    Example:
        >>> IntOnScale("log", 1, 100).value(0.5)
        10
    """

    def __init__(self, sampling: str, low: int, high: int) -> None:
        super().__init__(low, high)
        self._scale = Scale(sampling, low, high)

    def __repr__(self) -> str:
        return f"Int({self.low!r}, {self.high!r}, sampling={self._scale.sampling!r})"

    def value(self, unit: float) -> int:
        """The value at a place from 0 to 1."""
        return min(max(int(self._scale.value(unit, self.high + 1)), int(self.low)), int(self.high))

    def unit(self, value: int) -> float:
        """The place of a value: the middle of the part that belongs to it."""
        return self._scale.prob(value + 0.5, self.high + 1)
