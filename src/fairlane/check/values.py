"""What variables hold, as far as a file shows, and the state of the program at one point of it.

In: nothing; `interpret` makes these. Out: values, which are compared by identity (two models built by one
line in two iterations are two values), and `State`, which can be copied where paths part and joined where
they meet. What is true on one path only is not known after the join.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from fairlane.check.forms import NOWHERE, At, Class, Function
from fairlane.check.known import Kind
from fairlane.check.purpose import UNREAD, Reading

Loops = frozenset[int]
"""Serial numbers of the loops whose variable a value depends on."""

NO_LOOPS: Loops = frozenset()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the path to what is run: a call, or an iteration of a loop."""

    at: At
    serial: int
    iteration: int = -1
    reading: Reading = UNREAD
    repeated: tuple[Thing, ...] = ()

    @property
    def is_loop(self) -> bool:
        """Whether the step is an iteration."""
        return self.iteration >= 0


Path = tuple[Step, ...]


@dataclass(eq=False, slots=True)
class Value:
    """Something unknown. ``origin`` is where it came from: one place gives alike values."""

    origin: At = NOWHERE
    loops: Loops = NO_LOOPS


@dataclass(eq=False, slots=True)
class Const(Value):
    """A number, a text, a truth value or none."""

    value: object = None


@dataclass(eq=False, slots=True)
class Ref(Value):
    """Something imported, by its full name; in R, also what no one has assigned."""

    path: str = ""


@dataclass(eq=False, slots=True)
class Thing(Value):
    """A model, layer, optimizer ... made at a place; what it is now stands in the `State`.

    A model from elsewhere ``stands_for`` an unknown value that is used as one; it is ``doubtful`` where that
    might be of another library. ``file`` is where a model was loaded from, or a callback writes to.
    """

    kind: Kind = Kind.MODEL
    name: str = ""
    path: Path = ()
    label: str = ""
    seed: Seed | None = None
    cls: ClassValue | None = None
    stands_for: Value | None = None
    doubtful: bool = False
    file: object = None


@dataclass(eq=False, slots=True)
class Part(Value):
    """Something that belongs to a model: its layers, one of them, a weight."""

    whole: Thing | None = None


@dataclass(eq=False, slots=True)
class Tensor(Value):
    """A symbolic tensor: the layers on the way to it, each with the call that applied it."""

    applied: frozenset[tuple[Thing, int]] = frozenset()


@dataclass(eq=False, slots=True)
class Container(Value):
    """A list or dictionary. Its items stand in the `State`."""


@dataclass(eq=False, slots=True)
class Object(Value):
    """An instance of a class of the file that is not Keras's."""

    cls: ClassValue | None = None


@dataclass(eq=False, slots=True)
class Partial(Value):
    """A function with some of its arguments."""

    function: Value = field(default_factory=Value)
    given: tuple[Any, ...] = ()


@dataclass(eq=False, slots=True)
class Made(Value):
    """What something imported gave that is not Keras's, by the name that was called."""

    path: str = ""


@dataclass(eq=False, slots=True)
class Scope:
    """Where names are bound; the bindings stand in the `State`."""

    parent: Scope | None = None
    outer: frozenset[str] = frozenset()


@dataclass(eq=False, slots=True)
class Closure(Value):
    """A function of the file, with the scope it was defined in."""

    form: Function | None = None
    scope: Scope = field(default_factory=Scope)
    owner: Value | None = None
    cls: ClassValue | None = None


@dataclass(eq=False, slots=True)
class ClassValue(Value):
    """A class of the file: its bases of Keras's, and its methods."""

    form: Class | None = None
    kind: Kind | None = None
    base: str = ""
    methods: dict[str, Closure] = field(default_factory=dict)
    scope: Scope = field(default_factory=Scope)
    parents: tuple[ClassValue, ...] = ()


@dataclass(eq=False, slots=True)
class Above(Value):
    """``super()`` in a method of a class."""

    owner: Value = field(default_factory=Value)
    cls: ClassValue | None = None


@dataclass(eq=False, slots=True)
class Bound(Value):
    """A method of a model that is not called yet: ``train = model.fit``."""

    model: Thing = field(default_factory=Thing)
    name: str = ""


@dataclass(eq=False, slots=True)
class Folds(Value):
    """The folds of a cross-validation; ``forward`` where each trains on what came before it."""

    forward: bool = False


@dataclass(eq=False, slots=True)
class FoldRows(Container):
    """What ``zip(models, folds)`` gives: rows, of which the folds are not known."""

    forward: bool = False


@dataclass(frozen=True, slots=True)
class Seed:
    """A seed was set."""

    at: At
    path: Path


@dataclass(frozen=True, slots=True)
class Alias:
    """``name = old`` gave a model a second name; ``time`` gives the order of what runs.

    ``again`` is the call that builds a model like it, where that is sure.
    """

    at: At
    name: str
    old: str
    path: Path
    time: int
    source: At = NOWHERE
    again: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """An optimizer, metric or callback handed to a model, at a place."""

    thing: Thing
    at: At


@dataclass(frozen=True, slots=True)
class Training:
    """A model was trained.

    ``texts`` are its data's expressions, those that are more than a name; ``how`` is the method, ``own`` its
    other arguments, ``meant`` whether words beside it say that it continues, and ``carried`` where it was
    saved, if it reached this model through a file.
    """

    at: At
    path: Path
    name: str
    alias: Alias | None
    data: tuple[Value, ...]
    texts: tuple[str, ...]
    goes_on: bool
    time: int
    compiled: At | None
    compiled_path: Path
    how: str = "fit"
    own: tuple[tuple[str, Value], ...] = ()
    meant: bool = False
    carried: At | None = None


@dataclass(frozen=True, slots=True)
class ModelState:
    """What has been done to a model so far."""

    compiled: At | None = None
    compiled_path: Path = ()
    uses: tuple[Use, ...] = ()
    trained: Training | None = None
    compiled_since: bool = False
    set_weights: bool = False
    touched: bool = False
    layers: frozenset[tuple[Thing, int]] = frozenset()
    loops: Loops = NO_LOOPS


class State:
    """All bindings and all facts at one point of the program.

    Keys are pairs: a scope and a name, a container and what it holds, a model and its `ModelState`.
    """

    __slots__ = ("facts",)

    def __init__(self, facts: dict[tuple[object, str], object] | None = None) -> None:
        self.facts = {} if facts is None else facts

    def copy(self) -> State:
        """The same, to be changed apart."""
        return State(dict(self.facts))

    def get(self, of: object, what: str) -> object | None:
        """A fact, or None."""
        return self.facts.get((of, what))

    def set(self, of: object, what: str, fact: object) -> None:
        """State a fact."""
        self.facts[of, what] = fact

    def drop(self, of: object, what: str) -> None:
        """Forget a fact."""
        self.facts.pop((of, what), None)

    def model(self, thing: Thing) -> ModelState:
        """What has been done to a model."""
        found = self.facts.get((thing, "#model"))
        return found if isinstance(found, ModelState) else ModelState()

    def change(self, thing: Thing, change: Callable[[ModelState], ModelState]) -> None:
        """Do something to a model."""
        self.facts[thing, "#model"] = change(self.model(thing))


def joined(states: Iterable[State]) -> State | None:
    """What is known where several paths meet; None where none of them comes here."""
    states = list(states)
    if len(states) < 2:
        return states[0] if states else None
    first, *others = states
    for other in others:
        first = _joined(first, other)
    return first


def _joined(a: State, b: State) -> State:
    theirs = b.facts
    other_of = theirs.get
    changed = [(key, fact) for key, fact in a.facts.items() if other_of(key) is not fact]
    if not changed and len(theirs) == len(a.facts):
        return a
    together: dict[tuple[Value, Value], Value] = {}
    facts = dict(a.facts)
    for key, fact in changed:
        facts[key] = _either(fact, other_of(key), together)
        if facts[key] is None:
            del facts[key]
    if len(theirs) > len(a.facts) - len(changed):
        for key in theirs.keys() - a.facts.keys():
            either = _either(theirs[key], None, together)
            if either is not None:
                facts[key] = either
    result = State(facts)
    for (one, other), both in together.items():
        if isinstance(one, Thing) and isinstance(other, Thing) and one.kind is other.kind is Kind.MODEL:
            # what was done to both was done to this one, whichever of them it is
            result.set(both, "#model", _both(a.model(one), b.model(other)))
    return result


def _either(x: object, y: object, together: dict[tuple[Value, Value], Value]) -> object:
    """One fact for two; None stands for no fact."""
    if x == y:
        return x
    if isinstance(x, ModelState) or isinstance(y, ModelState):
        if isinstance(x, ModelState) and isinstance(y, ModelState):
            return _both(x, y)
        return x or y  # a model that only one path has built
    if isinstance(x, Value) and isinstance(y, Value):
        if (x, y) not in together:
            together[x, y] = _value_of_two(x, y)
        return together[x, y]
    if isinstance(x, Value) or isinstance(y, Value):
        one = x if isinstance(x, Value) else y
        assert isinstance(one, Value)
        return Value(one.origin, one.loops)
    return None


def _value_of_two(x: Value, y: Value) -> Value:
    """A value that is one of two: of two models it is one model, though it is not known which."""
    loops = x.loops | y.loops
    if isinstance(x, Thing) and isinstance(y, Thing) and x.kind is y.kind:
        return Thing(x.origin, loops, x.kind, x.name, x.path, x.label or y.label, x.seed)
    if isinstance(x, Const) and isinstance(y, Const) and x.value == y.value:
        return x
    return Value(x.origin, loops)


def _both(x: ModelState, y: ModelState) -> ModelState:
    """Trained if trained on both paths, or if training may have come from a file."""
    trained = x.trained if x.trained is not None and y.trained is not None else None
    for one in (x.trained, y.trained):
        if trained is None and one is not None and one.carried is not None:
            trained = one  # loaded where there is a file: in all rounds but the first
    return replace(
        x,
        compiled=x.compiled if x.compiled == y.compiled else None,
        uses=x.uses if x.uses == y.uses else (),
        trained=trained,
        compiled_since=x.compiled_since and y.compiled_since,
        set_weights=x.set_weights or y.set_weights,
        touched=x.touched or y.touched,
        layers=x.layers | y.layers,
        loops=x.loops | y.loops,
    )
