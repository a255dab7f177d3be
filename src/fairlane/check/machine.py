"""The program being interpreted: where it is, what is so, and how much has been done.

In: a program and its `Events`. Out: what `calls` and `interpret` both work on.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from fairlane.check import known
from fairlane.check.events import Events
from fairlane.check.forms import At, Form, Function, Program
from fairlane.check.known import Kind, Meaning
from fairlane.check.values import (
    NO_LOOPS,
    Const,
    Container,
    Loops,
    ModelState,
    Path,
    Ref,
    Scope,
    Seed,
    State,
    Tensor,
    Thing,
    Value,
)

MOST_STEPS = 60_000
"""What is interpreted of one file before the checker contents itself with what it has found."""


_SAYS_SO = re.compile(
    r"phase|stage|warm_?.?up|fine.?tun|pre.?train|continu|resum|further|keep (on )?training|train(ing)? more|"
    r"more epochs|anneal|lower(ed|ing)? (the )?(learning )?rate|unfreez|second part|roll(ed)? back",
    re.IGNORECASE,
)


def says_so(lines: Sequence[str], line: int) -> bool:
    """Whether a line, or the comment above it, says that a training continues an earlier one."""
    here = lines[line - 1] if 0 < line <= len(lines) else ""
    above = lines[line - 2].strip() if 1 < line <= len(lines) else ""
    return bool(_SAYS_SO.search(here) or (above.startswith("#") and _SAYS_SO.search(above)))


Notes = Sequence[tuple[int, str]]
"""The prose above pieces of a program, by the first line of the piece."""


class Enough(Exception):
    """The file is too large to be followed to its end."""


@dataclass(frozen=True, slots=True)
class Given:
    """An argument of a call: its value, its name, and its form."""

    value: Value
    name: str | None
    form: Form
    spread: bool = False


@dataclass(eq=False)
class Machine:
    """The state of the interpretation. ``alive`` is False where a path has ended."""

    program: Program
    events: Events
    notes: Notes = ()
    state: State = field(default_factory=State)
    alive: bool = True
    path: Path = ()
    time: int = 0
    steps: int = 0
    models: list[Thing] = field(default_factory=list)
    continuing: int = 0
    stars: list[str] = field(default_factory=list)
    assumed: dict[Value, Thing] = field(default_factory=dict)
    distant: set[Value] = field(default_factory=set)
    functions: dict[str, Function] = field(default_factory=dict)
    averaged: frozenset[str] | None = None

    def tick(self, cost: int = 1) -> int:
        """Count what is done.

        Raises:
            Enough: it is too much.
        """
        self.steps += cost
        if self.steps > MOST_STEPS:
            raise Enough
        return self.steps

    def next_time(self) -> int:
        """A number greater than all before."""
        self.time += 1
        return self.time

    def text(self, at: At) -> str:
        """What stands at a place, of its first line."""
        lines = self.program.lines
        line = lines[at.line - 1] if at.line <= len(lines) else ""
        return line[at.column - 1 : at.end_column - 1 if at.line == at.end_line else None]

    @property
    def is_r(self) -> bool:
        """Whether the program is R."""
        return self.program.language == "r"

    def meaning(self, path: str) -> Meaning | None:
        """What a full name stands for."""
        if self.is_r and (found := known.r(path)):
            return found
        return known.python(path.replace("$", "."))

    def make(self, kind: Kind, name: str, at: At, loops: Loops = NO_LOOPS) -> Thing:
        """A new thing."""
        seed = self.state.get(None, "#seed")
        thing = Thing(at, loops, kind, name, self.path, "", seed if isinstance(seed, Seed) else None)
        if kind is Kind.MODEL:
            self.models.append(thing)
            self.state.set(thing, "#model", ModelState(loops=loops))
        return thing

    def container(self, at: At, items: Iterable[Value] | None, loops: Loops = NO_LOOPS) -> Container:
        """A new list, with items that are known, or not."""
        made = Container(at, loops)
        if items is not None:
            self.state.set(made, "#items", tuple(items))
        return made

    def items(self, value: Value) -> tuple[Value, ...] | None:
        """The items of a list, or None where they are not known."""
        found = self.state.get(value, "#items") if isinstance(value, Container) else None
        return found if isinstance(found, tuple) else None

    def has_name(self, name: str) -> bool:
        """Whether a variable has this name somewhere."""
        return any(what == name and isinstance(of, Scope) for of, what in self.state.facts)

    def keys(self, value: Value) -> dict[object, Value] | None:
        """A dictionary by its keys, or None where they are not all known."""
        found = self.state.get(value, "#keyed") if isinstance(value, Container) else None
        if not isinstance(found, dict) or any(str(key).startswith("\0") for key in found):
            return None
        return found

    def inside(self, value: Value, depth: int = 0) -> Iterable[Value]:
        """A value, and all that lies in it if it is a list."""
        yield value
        if depth < 4:
            for item in self.items(value) or ():
                yield from self.inside(item, depth + 1)
            if isinstance(value, Container) and (keyed := self.state.get(value, "#keyed")):
                assert isinstance(keyed, dict)
                for item in keyed.values():
                    yield from self.inside(item, depth + 1)

    # What is done to models

    def excuse(self, model: Thing) -> None:
        """A model's weights are set, or may have been: what was trained before counts no more.

        That holds for the models that it is a part of, too.
        """
        own = self.state.model(model).layers
        for other in self.models:
            layers = self.state.model(other).layers
            if other is model or (layers and (own & layers or any(layer is model for layer, _ in layers))):
                self._excuse(other)
        self._excuse(model)

    def _excuse(self, model: Thing) -> None:
        self.state.change(
            model, lambda old: replace(old, trained=None, compiled_since=False, set_weights=True)
        )

    def excuse_all(self, touched: bool = False) -> None:
        """Some model's weights may have been set, or frozen; which one is not known."""
        for model in self.models:
            if self.state.get(model, "#model") is not None:
                self._excuse(model)
                if touched:
                    self.state.change(model, lambda old: replace(old, touched=True))

    def escape(self, values: Iterable[Value]) -> None:
        """Values are handed to something unknown, which may do anything to them."""
        for value in values:
            for inner in self.inside(value):
                inner = self.assumed.get(inner, inner)
                if isinstance(inner, Thing) and inner.kind is Kind.MODEL:
                    self.excuse(inner)
                self.state.drop(inner, "#items")
                self.state.drop(inner, "#keyed")
                self.state.drop(inner, "#attributes")

    def assume(self, value: Value, doubtful: bool, at: At) -> Thing:
        """An unknown value that is used as a model: from now on it is followed as one."""
        found = self.assumed.get(value)
        doubtful |= value in self.distant
        if found is None:
            found = self.make(Kind.MODEL, "", at)
            found.stands_for, found.doubtful = value, doubtful
            self.assumed[value] = found
        found.doubtful &= doubtful
        return found

    def meant(self, at: At, compiled: At | None) -> bool:
        """Whether words beside a training say that it continues an earlier one."""
        calls = [self.text(step.at).partition("#")[0] for step in self.path if not step.is_loop]
        if any(_SAYS_SO.search(call) for call in calls):
            return True
        for place in (at,) if compiled is None else (at, compiled):
            if says_so(self.program.lines, place.line):
                return True
            note = bisect_right(self.notes, (place.line, "\U0010ffff")) - 1
            if note >= 0 and _SAYS_SO.search(self.notes[note][1]):
                return True
        return False

    # Reading values

    def applied(self, values: Iterable[Value]) -> frozenset[tuple[Thing, int]]:
        """The layers on the way to tensors."""
        found: set[tuple[Thing, int]] = set()
        for value in values:
            for inner in self.inside(value):
                if isinstance(inner, Tensor):
                    found |= inner.applied
        return frozenset(found)

    def loops_of(self, given: Iterable[Given]) -> Loops:
        """The loops whose variables have a part in some arguments."""
        found = NO_LOOPS
        for one in given:
            if one.name is None or "seed" not in one.name:
                for inner in self.inside(one.value):
                    found |= inner.loops
        return found


def constant(value: Value) -> object:
    """What a value is, if that is known; otherwise None."""
    return value.value if isinstance(value, Const) else None


def path_of(value: Value) -> str:
    """The full name of something imported; otherwise nothing."""
    return value.path if isinstance(value, Ref) else ""


Invoke = Callable[[Value, list[Given], At], Value]
