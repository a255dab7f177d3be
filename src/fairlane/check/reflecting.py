"""Functions that ask for names and attributes, and plain objects that only hold such.

In: calls of ``hasattr``, ``getattr``, ``globals``, ``SimpleNamespace``, ``namedtuple``, and of R's
``exists``, ``is.null``, ``new.env`` and ``rep``. Out: their values, or None where a call is of none of these.
"""

from __future__ import annotations

from collections.abc import Callable

from fairlane.check import truths
from fairlane.check.binding import Binding
from fairlane.check.forms import At, Block, Class
from fairlane.check.machine import Given, Machine, constant
from fairlane.check.values import (
    NO_LOOPS,
    ClassValue,
    Closure,
    Const,
    Container,
    Made,
    Object,
    Value,
)

MOST_COPIES = 8
PLAIN_OBJECTS = frozenset({"SimpleNamespace", "Namespace", "Bunch", "AttrDict", "EasyDict", "Munch", "Box"})


class Reflecting(Binding):
    """Follows calls that ask for names.

    Args:
        machine: the program, before its first step.
    """

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.askers: dict[str, Callable[[list[Given], At], Value | None]] = (
            {"exists": self.exists, "is.null": self.is_null, "new.env": self.environment, "rep": self.rep}
            if machine.is_r
            else {
                "hasattr": self.has_attribute,
                "getattr": self.get_attribute,
                "setattr": self.put_attribute,
                "globals": self.all_names,
                "locals": self.all_names,
                "collections.namedtuple": self.named_tuple,
            }
        )

    def asked(self, path: str, given: list[Given], at: At) -> Value | None:
        """The value of a call, if it is one of these."""
        if path in self.askers:
            return self.askers[path](given, at)
        if not self.machine.is_r and path.rpartition(".")[2] in PLAIN_OBJECTS:
            made = Object(at, NO_LOOPS)
            for one in given:
                if one.name is not None:
                    self.machine.state.set(made, f".{one.name}", one.value)
            return made
        return None

    # Python

    def has_attribute(self, given: list[Given], at: At) -> Value | None:
        """``hasattr(of, "model")``."""
        of, name = _two(given)
        if not isinstance(of, Object | ClassValue | Closure) or not isinstance(name, str):
            return None
        if isinstance(self.machine.state.get(of, f".{name}"), Value):
            return Const(at, NO_LOOPS, True)
        cls = of if isinstance(of, ClassValue) else getattr(of, "cls", None)
        if isinstance(cls, ClassValue):
            if name in cls.methods or isinstance(self.machine.state.get(cls, f".{name}"), Value):
                return Const(at, NO_LOOPS, True)
            if cls.form is None or cls.form.bases:
                return None
        return Const(at, NO_LOOPS, False)

    def get_attribute(self, given: list[Given], at: At) -> Value | None:
        """``getattr(of, "model", default)``."""
        of, name = _two(given)
        if of is None or not isinstance(name, str):
            return None
        if len(given) > 2 and (has := self.has_attribute(given, at)) is not None:
            return given[2].value if constant(has) is False else self.attribute_of(of, name, at)
        return self.attribute_of(of, name, at) if len(given) == 2 else None

    def put_attribute(self, given: list[Given], at: At) -> Value | None:
        """``setattr(of, "model", value)``."""
        of, name = _two(given)
        if of is None or not isinstance(name, str) or len(given) < 3:
            return None
        self.set_attribute(of, name, given[2].value)
        return Const(at)

    def all_names(self, given: list[Given], at: At) -> Value | None:
        """``globals()`` and ``locals()``."""
        return None if given else Made(at, NO_LOOPS, truths.NAMES)

    def named_tuple(self, given: list[Given], at: At) -> Value | None:
        """``namedtuple("Run", "model rate")``: a class with these fields."""
        _, text = _two(given)
        names: list[object] = []
        if isinstance(text, str):
            names = [*text.replace(",", " ").split()]
        elif len(given) > 1:
            names = [constant(item) for item in self.machine.items(given[1].value) or ()]
        if not names:
            return None
        fields = tuple(str(name) for name in names)
        return ClassValue(at, NO_LOOPS, Class(at, "", (), Block(at, ()), fields), scope=self.root)

    # R

    def exists(self, given: list[Given], at: At) -> Value | None:
        """``exists("model")``."""
        name = constant(given[0].value) if len(given) == 1 else None
        return Const(at, NO_LOOPS, self.machine.has_name(name)) if isinstance(name, str) else None

    def is_null(self, given: list[Given], at: At) -> Value | None:
        """``is.null(model)``."""
        found = truths.is_nothing(given[0].value) if len(given) == 1 else None
        return None if found is None else Const(at, NO_LOOPS, found)

    def environment(self, given: list[Given], at: At) -> Value | None:
        """``new.env()``: what is not in it is ``NULL``."""
        made = Container(at)
        self.machine.state.set(made, "#keyed", {})
        self.machine.state.set(made, "#complete", True)
        return made

    def rep(self, given: list[Given], at: At) -> Value | None:
        """``rep(list(model), 3)``: the same model three times."""
        items = self.machine.items(given[0].value) if given else None
        if items is None:
            return None
        count = constant(given[1].value) if len(given) > 1 else None
        times = count if isinstance(count, int) else 2  # of a number that is not known, two stand for all
        return self.machine.container(at, items * max(0, min(times, MOST_COPIES)))


def _two(given: list[Given]) -> tuple[Value | None, object]:
    """The first argument, and the second one's constant."""
    if len(given) < 2:
        return None, None
    return given[0].value, constant(given[1].value)
