"""What is known of the past of models, optimizers and other objects of this session.

In: what `fairlane.guard` sees. Out: answers, for `fairlane.guard` itself and for `fairlane.fresh`. Nothing is
kept alive by it: the notes on an object go with the object.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from weakref import ReferenceType, ref

from fairlane.kit.call_sites import Place
from fairlane.models.guard.samples import Samples

T = TypeVar("T")


@dataclass(eq=False)
class Past:
    """What happened to one model.

    Attributes:
        name: its name.
        epochs: how many it was trained for; 0 also after training on batches alone.
        trained: where it was trained last.
        order: when that was, as a count of all events; 0 for never.
        recompiled: where it was compiled again since, outside of `fairlane.continuing`.
        continuing: in how many `fairlane.continuing` blocks it is.
        fits: the samples of its trainings since its weights were set, the last of them last.
        flags: which of its layers were trainable when it was trained last.
        loaded: the file that it was loaded from.
    """

    name: str = ""
    epochs: int = 0
    trained: Place | None = None
    order: int = 0
    recompiled: Place | None = None
    continuing: int = 0
    fits: list[Samples] = field(default_factory=list)
    flags: tuple[bool, ...] = ()
    loaded: str = ""

    def forget(self) -> None:
        """Its weights were set, so what it learned is gone."""
        self.epochs, self.order, self.recompiled = 0, 0, None
        self.fits.clear()


@dataclass(eq=False)
class Lesson:
    """The last training of one layer: in which model, where, and on what."""

    past: Past
    model: ReferenceType[Any]
    place: Place
    order: int
    samples: Samples
    trainable: bool


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
    lessons: _ByIdentity[Lesson] = field(default_factory=_ByIdentity)
    settings: _ByIdentity[int] = field(default_factory=_ByIdentity)
    events: int = 0


_LEDGER = _Ledger()


def of(model: Any) -> Past:
    """What is known of a model; to be written to."""
    return _LEDGER.models.setdefault(model, Past(str(getattr(model, "name", ""))))


def known_models() -> list[tuple[Any, Past]]:
    """Every living model that anything is known of."""
    return _LEDGER.models.items()


def next_order() -> int:
    """A number for an event, larger than all before."""
    _LEDGER.events += 1
    return _LEDGER.events


def lesson_of(layer: Any) -> Lesson | None:
    """The last training of a layer."""
    return _LEDGER.lessons.get(layer)


def note_lesson(layer: Any, lesson: Lesson) -> None:
    """A layer was trained."""
    _LEDGER.lessons.set(layer, lesson)


def note_setting(layer: Any) -> None:
    """A layer's weights were set."""
    _LEDGER.settings.set(layer, next_order())


def set_at(layer: Any) -> int:
    """When a layer's weights were set last; 0 for never."""
    return _LEDGER.settings.get(layer) or 0


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
