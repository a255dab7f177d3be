"""The requests that a build function makes of ``hp``: one method per kind of hyperparameter.

In: a name, and what the hyperparameter may be. Out: its value in this variant, by KerasTuner's rules.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from fairlane.kerastuner import entries
from fairlane.kerastuner.entries import Condition, Entry


class Requests(ABC):
    """What can be requested."""

    _conditions: list[Condition]

    @abstractmethod
    def _value_of(self, entry: Entry) -> Any:
        """The value of a request."""

    @abstractmethod
    def _full(self, name: str) -> str:
        """A name with the scopes that are open."""

    @abstractmethod
    def _parent(self, name: str | None, values: Any) -> AbstractContextManager[None]:
        """The scope of a condition, where there is one."""

    def Choice(
        self,
        name: str,
        values: Sequence[Any],
        ordered: bool | None = None,
        default: Any = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """One value of a list.

        Args:
            name: the hyperparameter's name.
            values: numbers, texts or booleans, all of one type.
            ordered: whether neighbours are alike; by default for numbers.
            default: one of the values; by default the first.
            parent_name: another hyperparameter, on which this one depends.
            parent_values: the values that it must have.

        Returns:
            The value, or None where a condition does not hold.

        Raises:
            StudyError: the values or the default are not possible.

        Example:
            >>> from fairlane import kerastuner as kt
            >>> kt.HyperParameters().Choice("units", [16, 32, 64], default=32)
            32
        """
        with self._parent(parent_name, parent_values):
            return self._value_of(
                entries.Choice(self._full(name), values, ordered, default, tuple(self._conditions))
            )

    def Int(
        self,
        name: str,
        min_value: int,
        max_value: int,
        step: int | None = None,
        sampling: str = "linear",
        default: int | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """A whole number of a range, both ends included.

        Args:
            name: the hyperparameter's name.
            min_value: the smallest value.
            max_value: the largest value.
            step: what is added from one value to the next; with a logarithmic ``sampling``, the factor.
            sampling: ``"linear"``, ``"log"`` or ``"reverse_log"``.
            default: by default ``min_value``.
            parent_name: as for `Choice`.
            parent_values: as for `Choice`.

        Returns:
            The value, or None where a condition does not hold.

        Raises:
            StudyError: a number or the sampling is not possible.

        Example:
            >>> from fairlane import kerastuner as kt
            >>> hp = kt.HyperParameters()
            >>> hp.Int("batch", 2, 32, step=2, sampling="log"), hp.space[0].values
            (2, (2, 4, 8, 16, 32))
        """
        with self._parent(parent_name, parent_values):
            given = (min_value, max_value, step, sampling, default)
            return self._value_of(entries.Int(self._full(name), *given, tuple(self._conditions)))

    def Float(
        self,
        name: str,
        min_value: float,
        max_value: float,
        step: float | None = None,
        sampling: str = "linear",
        default: float | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """A floating-point number of a range, both ends included.

        Args:
            name: the hyperparameter's name.
            min_value: the smallest value.
            max_value: the largest value.
            step: what is added from one value to the next; with a logarithmic ``sampling``, the factor.
            sampling: ``"linear"``, ``"log"`` or ``"reverse_log"``.
            default: by default ``min_value``.
            parent_name: as for `Choice`.
            parent_values: as for `Choice`.

        Returns:
            The value, or None where a condition does not hold.

        Raises:
            StudyError: a number or the sampling is not possible.

        Example:
            >>> from fairlane import kerastuner as kt
            >>> kt.HyperParameters().Float("learning_rate", 1e-4, 1e-2, sampling="log")
            0.0001
        """
        with self._parent(parent_name, parent_values):
            given = (min_value, max_value, step, sampling, default)
            return self._value_of(entries.Float(self._full(name), *given, tuple(self._conditions)))

    def Boolean(
        self, name: str, default: bool = False, parent_name: str | None = None, parent_values: Any = None
    ) -> Any:
        """True or False.

        Args:
            name: the hyperparameter's name.
            default: one of them.
            parent_name: as for `Choice`.
            parent_values: as for `Choice`.

        Returns:
            The value, or None where a condition does not hold.

        Raises:
            StudyError: the default is neither.

        Example:
            >>> from fairlane import kerastuner as kt
            >>> kt.HyperParameters().Boolean("dropout")
            False
        """
        with self._parent(parent_name, parent_values):
            return self._value_of(entries.Boolean(self._full(name), default, tuple(self._conditions)))

    def Fixed(self, name: str, value: Any, parent_name: str | None = None, parent_values: Any = None) -> Any:
        """A value that is the same in all variants.

        Args:
            name: the hyperparameter's name.
            value: a number, a text, or a boolean.
            parent_name: as for `Choice`.
            parent_values: as for `Choice`.

        Returns:
            The value, or None where a condition does not hold.

        Raises:
            StudyError: it is of another type.

        Example:
            >>> from fairlane import kerastuner as kt
            >>> hp = kt.HyperParameters()
            >>> hp.Fixed("learning_rate", 0.01)
            0.01
            >>> hp.Float("learning_rate", 0.001, 0.1)  # the first request decides
            0.01
        """
        with self._parent(parent_name, parent_values):
            return self._value_of(entries.Fixed(self._full(name), value, tuple(self._conditions)))
