"""What is known of the past of models, optimizers and other objects of this session.

In: what `fairlane.guard` sees. Out: answers, for `fairlane.guard` itself and for `fairlane.fresh`. Nothing is
kept alive by it: the notes on an object go with the object.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from weakref import ReferenceType, ref

from fairlane.kit.call_sites import Place

T = TypeVar("T")


@dataclass(eq=False)
class Past:
    """What happened to one model.

    Attributes:
        epochs: how many it was trained for.
        trained: where it was trained last.
        order: when that was, as a count of all trainings; 0 for never.
        recompiled: whether it was compiled again since, outside of `fairlane.continuing`.
        continuing: in how many `fairlane.continuing` blocks it is.
    """

    epochs: int = 0
    trained: Place | None = None
    order: int = 0
    recompiled: bool = False
    continuing: int = 0


@dataclass(eq=False)
class Service:
    """Which model an optimizer, metric or callback served first, and where."""

    model: ReferenceType[Any]
    name: str
    place: Place


class _ByIdentity(Generic[T]):
    """Values by objects, forgotten with the object; the objects need be neither hashable nor comparable."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[ReferenceType[Any], T]] = {}

    def get(self, thing: Any) -> T | None:
        """The value of a thing, if there is one."""
        held = self._held.get(id(thing))
        return None if held is None else held[1]

    def setdefault(self, thing: Any, value: T) -> T:
        """The value of a thing; ``value`` where it had none."""
        key = id(thing)
        if key not in self._held:
            self._held[key] = (ref(thing, lambda _: self._held.pop(key, None)), value)
        return self._held[key][1]

    def set(self, thing: Any, value: T) -> None:
        """Give a thing a value."""
        self._held.pop(id(thing), None)
        self.setdefault(thing, value)

    def items(self) -> list[tuple[Any, T]]:
        """All living things with their values."""
        pairs = [(reference(), value) for reference, value in list(self._held.values())]
        return [(thing, value) for thing, value in pairs if thing is not None]


@dataclass(eq=False)
class _Ledger:
    models: _ByIdentity[Past] = field(default_factory=_ByIdentity)
    services: _ByIdentity[Service] = field(default_factory=_ByIdentity)
    rates: _ByIdentity[float] = field(default_factory=_ByIdentity)
    trainings: int = 0


_LEDGER = _Ledger()


def of(model: Any) -> Past:
    """What is known of a model; to be written to."""
    return _LEDGER.models.setdefault(model, Past())


def known_models() -> list[tuple[Any, Past]]:
    """Every living model that anything is known of."""
    return _LEDGER.models.items()


def next_order() -> int:
    """A number for a training, larger than all before."""
    _LEDGER.trainings += 1
    return _LEDGER.trainings


def serve(thing: Any, model: Any, place: Place) -> Service | None:
    """Note that an object serves a model.

    Returns:
        Its earlier service, where it served another model first.
    """
    service = _LEDGER.services.setdefault(thing, Service(ref(model), model.name, place))
    return None if service.model() is model else service


def note_learning_rate(optimizer: Any, rate: float) -> None:
    """Note the rate that an optimizer begins with."""
    _LEDGER.rates.set(optimizer, rate)


def learning_rate_of(optimizer: Any) -> float | None:
    """The rate that an optimizer began with, where it has been noted."""
    return _LEDGER.rates.get(optimizer)
