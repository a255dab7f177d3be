"""Functions, classes and calls: the part of the interpreter that follows a program from one to another.

In: calls. Out: their values. A function of the file is run where it is called, with what it is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from fairlane.check import known
from fairlane.check.calls import reference
from fairlane.check.containers import over_folds
from fairlane.check.evaluate import MOST_ITEMS, last_name
from fairlane.check.forms import (
    Argument,
    Assign,
    At,
    Attribute,
    Block,
    Call,
    Class,
    Function,
    Loop,
    Name,
)
from fairlane.check.known import Kind
from fairlane.check.machine import Given, Machine
from fairlane.check.purpose import Reading
from fairlane.check.reflecting import Reflecting
from fairlane.check.values import (
    NO_LOOPS,
    Above,
    Bound,
    ClassValue,
    Closure,
    Const,
    Container,
    Made,
    Object,
    Part,
    Partial,
    Ref,
    Scope,
    State,
    Step,
    Thing,
    Value,
    joined,
)

DEEPEST_CALL = 12
REPEATERS = known.names(
    """
    fmin gp_minimize forest_minimize gbrt_minimize dummy_minimize minimize differential_evolution
    dual_annealing basinhopping minimize_scalar BayesianOptimization agent vectorize optim optimize bayesOpt
    ga DEoptim Vectorize
    """
)
"""Functions that call a function again and again, for each trial."""

REPEATING_METHODS = known.names("optimize apply applymap transform")
CACHES = known.names("lru_cache cache memoize cached cache_resource cached_property singleton")


def last_part(path: str) -> str:
    """The last name of a full name: of ``hyperopt.fmin`` and of ``stats::optim``."""
    return re.split(r"[.:$]", path)[-1]


class Frame:
    """A function that is being run: the states in which it returns."""

    def __init__(self) -> None:
        self.returns: list[State] = []


class Turns:
    """A loop that is being run: the states in which it ends, or continues early."""

    def __init__(self) -> None:
        self.breaks: list[State] = []
        self.continues: list[State] = []


class Functions(Reflecting):
    """Follows calls.

    Args:
        machine: the program, before its first step.
    """

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.frames: list[Frame] = [Frame()]
        self.turns: list[Turns] = []
        self.running: list[Function] = []
        self.owners: list[tuple[Value | None, ClassValue | None]] = []
        self.called: set[Function] = set()
        self.closures: list[Closure] = []
        self.kept: dict[Function, Thing] = {}

    # Functions

    def function(self, form: Function, scope: Scope) -> Value:
        """A function is defined."""
        closure = Closure(form.at, NO_LOOPS, form, scope)
        self.closures.append(closure)
        if not self.machine.is_r:  # Python evaluates defaults once, where the function is defined
            for parameter in form.parameters:
                if parameter.default is not None:
                    value = self.run(parameter.default, scope)
                    self.machine.state.set(closure.form, f"#default {parameter.name}", value)
        return closure

    def make_class(self, form: Class, scope: Scope) -> Value:
        """A class is defined."""
        cls = ClassValue(form.at, NO_LOOPS, form, scope=scope)
        for base in form.bases:
            value = self.run(base, scope)
            if isinstance(value, ClassValue):
                cls.parents = (*cls.parents, value)
                cls.kind, cls.base = value.kind, value.base
                cls.methods.update(value.methods)
            elif isinstance(value, Ref) and (meaning := self.machine.meaning(value.path)):
                cls.kind, cls.base = meaning.kind, meaning.name
        own = Scope(scope)
        self.run(form.body, own)
        for statement in form.body.items if isinstance(form.body, Block) else ():
            if isinstance(statement, Assign) and isinstance(statement.target, Name):
                name = statement.target.id
                held = self.machine.state.get(own, name)
                if isinstance(held, Closure):
                    held.scope, held.cls = scope, cls
                    cls.methods[name] = held
                elif isinstance(held, Value):
                    self.machine.state.set(cls, f".{name}", held)
        return cls

    def call(self, form: Call, scope: Scope) -> Value:
        """A call."""
        callee = form.function
        if isinstance(callee, Attribute):
            of = self.run(callee.of, scope)
            given = self.given(form.arguments, scope)
            return self.method_call(of, callee, given, form.at)
        function = self.name(callee, scope, True) if isinstance(callee, Name) else self.run(callee, scope)
        given = self.given(form.arguments, scope)
        return self.call_value(function, given, form.at)

    def given(self, arguments: Iterable[Argument], scope: Scope) -> list[Given]:
        """The arguments of a call."""
        return [Given(self.run(a.value, scope), a.name, a.value, a.spread) for a in arguments]

    def call_value(self, function: Value, given: list[Given], at: At) -> Value:
        """Call a value with arguments."""
        if not self.machine.alive:
            return Value(at)
        match function:
            case Closure():
                return self.invoke(function, given, at, function.owner)
            case ClassValue():
                return self.instantiate(function, given, at)
            case Partial():
                return self.call_value(function.function, [*function.given, *given], at)
            case Thing() if function.kind in (Kind.LAYER, Kind.MODEL):
                return self.calls.apply(function, [one.value for one in given], at)
            case Part():
                return self.calls.part_method(function, "call", given, at)
            case Bound():
                return self.calls.method(function.model, function.name, given, at, Name(at, ""))
            case Object(cls=ClassValue(methods={"__call__": method})):
                return self.invoke(method, given, at, function)
        ref = reference(function)
        if ref is not None:
            if ref.path in ("map", "filter", "itertools.starmap") and len(given) > 1:
                return self.map(given, at, ref.path == "itertools.starmap")
            if last_part(ref.path) in REPEATERS and (value := self.repeat(given, at)):
                return value
            asked = self.above(at) if ref.path == "super" else self.asked(ref.path, given, at)
            if asked is not None:
                return asked
            value = self.calls.named(ref.path, given, at)
            if ref.loops and isinstance(value, Thing):
                value.loops |= ref.loops
            return value
        return self.calls.other_method(function, "", given, at)

    def method_call(self, of: Value, callee: Attribute, given: list[Given], at: At) -> Value:
        """``of.name(...)``."""
        name = callee.name
        of = self.calls.as_model(of, name, given, at)
        is_ours = isinstance(of, Object | ClassValue) or (isinstance(of, Thing) and of.cls is not None)
        is_model = isinstance(of, Thing) and of.kind is Kind.MODEL
        keras_own = is_model and name in {"compile", "fit", "evaluate", "predict"}
        if is_ours and not keras_own and (member := self.member(of, name, at)) is not None:
            return self.call_value(member, given, at)
        match of:
            case Ref():
                return self.call_value(self.attribute_of(of, name, at), given, at)
            case Thing() if of.kind is Kind.MODEL:
                return self.calls.method(of, name, given, at, callee.of)
            case Thing():
                return self.calls.thing_method(of, name, given, at)
            case Part():
                return self.calls.part_method(of, name, given, at)
            case Container() if self.machine.is_r:
                return self.call_value(self.attribute_of(of, name, at), given, at)
            case Container():
                return self.calls.containers.method(of, name, given, at)
        if isinstance(of, Made) and given and isinstance(given[0].value, Closure | Partial):
            if name in ("submit", "apply", "apply_async"):
                return self.call_value(given[0].value, given[1:], at)
            if len(given) > 1:
                return self.map(given, at, name == "starmap")
        if name == "__new__" and given and isinstance(given[0].value, ClassValue):
            return Object(at, NO_LOOPS, given[0].value)
        if isinstance(of, Above) and of.cls is not None:
            for parent in of.cls.parents:
                if name in parent.methods:
                    return self.invoke(parent.methods[name], given, at, of.owner)
        alone = sum(one.name is None for one in given) < 2  # a pool's apply(f, arguments) calls it once
        if name in REPEATING_METHODS and (alone or name == "optimize") and (value := self.repeat(given, at)):
            return value
        return self.calls.other_method(of, name, given, at)

    def map(self, given: list[Given], at: At, spreads: bool = False) -> Value:
        """Python's ``map(f, items)``; where it ``spreads``, ``starmap(f, rows)``."""
        function, over = given[0].value, given[1]
        collected = []
        serial = self.machine.next_time()
        path = self.machine.path
        reading = self.reading_of_map(function, over)
        for turn, item in enumerate(self.rounds(over.value, serial, over.form.at)):
            self.machine.path = (*path, Step(at, serial, turn, reading))
            parts = (self.machine.items(item) if spreads else None) or (item,)
            collected.append(self.call_value(function, [Given(p, None, over.form) for p in parts], at))
        self.machine.path = path
        return self.machine.container(at, collected)

    def reading_of_map(self, function: Value, over: Given) -> Reading:
        """What a function is called for with each item."""
        form = function.form if isinstance(function, Closure) else None
        if form is None:
            return Reading(records=True)
        target = next((Name(form.at, parameter.name) for parameter in form.parameters), None)
        loop = Loop(form.at, target, over.form, form.body, collects=True)
        return self.reading(loop, over_folds(over.value))

    def reading(self, form: Loop, over_folds: bool | None) -> Reading:
        """What a loop is for."""
        raise NotImplementedError

    def repeat(self, given: list[Given], at: At) -> Value | None:
        """``study.optimize(objective)``: the function is called again and again; None where there is none."""
        function = next((one.value for one in given if isinstance(one.value, Closure | Partial)), None)
        if function is None:
            return None
        item = Given(Value(at), None, Name(at, ""))
        serial, path = self.machine.next_time(), self.machine.path
        reading = self.reading_of_map(function, item)
        for turn in range(2):
            self.machine.path = (*path, Step(at, serial, turn, reading))
            self.call_value(function, [item], at)
        self.machine.path = path
        return Value(at)

    def above(self, at: At) -> Value | None:
        """``super()``, in a method of a class whose base is in the file too."""
        owner, cls = self.owners[-1] if self.owners else (None, None)
        return (
            Above(at, NO_LOOPS, owner, cls) if owner is not None and cls is not None and cls.parents else None
        )

    def may_train(self, form: Function) -> bool:
        """Whether a function trains anything."""
        raise NotImplementedError

    def instantiate(self, cls: ClassValue, given: list[Given] | None, at: At) -> Value:
        """An instance of a class of the file."""
        made: Value
        if cls.kind is not None:
            made = self.calls.subclass(cls, at, given or [])
        else:
            made = Object(at, NO_LOOPS, cls)
            if "__new__" in cls.methods:  # a class of which there is one instance, perhaps
                value = self.invoke(cls.methods["__new__"], given, at, cls)
                made = value if isinstance(value, Object) else made
        init = cls.methods.get("__init__")
        if init is not None:
            self.invoke(init, given, at, made)
        elif cls.form is not None and cls.form.fields:
            self.fill(cls, made, given, at)
            if "__post_init__" in cls.methods:
                self.invoke(cls.methods["__post_init__"], [], at, made)
        elif given:
            self.machine.escape([one.value for one in given])
        return made

    def invoke(self, closure: Closure, given: list[Given] | None, at: At, owner: Value | None) -> Value:
        """Run a function of the file; arguments of None are all unknown."""
        form, machine = closure.form, self.machine
        assert form is not None
        depth = self.running.count(form)
        follows = depth == 0 or (depth == 1 and self.may_train(form))  # of recursion, the first two rounds
        if not follows or len(self.running) >= DEEPEST_CALL or (form.generator and not self.may_train(form)):
            machine.escape([one.value for one in given or ()])
            return Value(at)
        if form in self.kept and not given:
            return self.kept[form]  # a cached function gives what it gave the first time
        self.called.add(form)
        scope = Scope(closure.scope, form.outer)
        self.parameters(form, closure, given, scope, owner)
        path, frame, turns = machine.path, Frame(), self.turns
        machine.path = (*path, Step(at, machine.next_time()))
        self.frames.append(frame)
        self.turns = []
        self.running.append(form)
        self.owners.append((owner, closure.cls))
        value = self.run(form.body, scope)
        self.owners.pop()
        self.running.pop()
        self.frames.pop()
        self.turns, machine.path = turns, path
        if machine.alive:
            if form.implicit:
                machine.state.set(scope, "#returned", value)
            frame.returns.append(machine.state)
        value = self.returned(frame, scope, form, at)
        return Value(at) if form.generator else value

    def returned(self, frame: Frame, scope: Scope, form: Function, at: At) -> Value:
        """Where a function's paths meet: its value, and the state after it."""
        machine = self.machine
        after = joined(frame.returns)
        if after is None:  # it always raises, or so it seems
            machine.alive = False
            return Value(at)
        machine.state, machine.alive = after, True
        value = after.get(scope, "#returned")
        if any(last_name(decorator) in CACHES for decorator in form.decorators):
            if not isinstance(value, Thing) or form.parameters:
                return Value(form.at)
            value.loops, value.path = NO_LOOPS, ()  # made once, in whichever round of a loop
            self.kept[form] = value
        return value if isinstance(value, Value) else Const(at)

    # What is run more than once

    def rounds(self, over: Value, serial: int, at: At) -> list[Value]:
        """A loop's variable in each round that runs: two stand for all, where the values are not known."""
        machine = self.machine
        mine = frozenset({serial})
        items = machine.items(over)
        keyed = machine.state.get(over, "#keyed")
        if items is None and isinstance(keyed, dict) and not machine.is_r:
            items = tuple(Const(at, NO_LOOPS, key) for key in keyed)
        elif items is None and isinstance(keyed, dict):
            items = tuple(keyed.values())
        if items is None:
            if isinstance(over, Part):
                return [Part(at, NO_LOOPS, over.whole), Part(at, NO_LOOPS, over.whole)]
            return [Value(at, mine | over.loops), Value(at, mine | over.loops)]
        plain = all(self.is_plain(item) for item in items)
        items = items[: 2 if plain else MOST_ITEMS]
        return [self.of_loop(item, mine) for item in items]

    def is_plain(self, value: Value) -> bool:
        """Whether nothing in a value is followed."""
        return all(isinstance(i, Const | Container) or type(i) is Value for i in self.machine.inside(value))

    def of_loop(self, value: Value, mine: frozenset[int]) -> Value:
        """A value as one of a loop's variants."""
        machine = self.machine
        match value:
            case Const():
                return Const(value.origin, value.loops | mine, value.value)
            case Ref():
                return Ref(value.origin, value.loops | mine, value.path)
            case Thing() if value.kind is Kind.OPTIMIZER:
                value.loops |= mine
            case Container():
                items = machine.items(value)
                made = machine.container(
                    value.origin, None if items is None else [self.of_loop(i, mine) for i in items], mine
                )
                keyed = machine.state.get(value, "#keyed")
                if isinstance(keyed, dict):
                    inner = {key: self.of_loop(item, mine) for key, item in keyed.items()}
                    machine.state.set(made, "#keyed", inner)
                return made
            case _ if type(value) is Value:
                return Value(value.origin, value.loops | mine)
        return value
