"""The interpreter: walks a program's forms, and lets `calls` and `events` know what happens.

In: a `forms.Program`. Out: what its `Events` found. Functions of the file are followed where they are called,
loops are run twice (or once per item, where the items are models and the like), and both sides of a branch
are taken, after which only that is known which is so on both. Functions that nothing calls are run at the
end, each on its own, with arguments of which nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from fairlane.check import known
from fairlane.check.calls import Calls, is_fold_name, reference
from fairlane.check.events import Events, Found, Where
from fairlane.check.forms import (
    Argument,
    Assign,
    At,
    Attribute,
    Block,
    Branch,
    Call,
    Class,
    Constant,
    Form,
    Function,
    Group,
    Index,
    Leave,
    Loop,
    Name,
    Operation,
    Program,
    Record,
    Reference,
    Return,
    StarImport,
    Try,
    With,
)
from fairlane.check.known import Kind
from fairlane.check.machine import Enough, Given, Machine, constant
from fairlane.check.values import (
    NO_LOOPS,
    Alias,
    ClassValue,
    Closure,
    Const,
    Container,
    Folds,
    ModelState,
    Object,
    Part,
    Ref,
    Scope,
    State,
    Step,
    Tensor,
    Thing,
    Value,
    joined,
)

DEEPEST_CALL = 12
MOST_ITEMS = 8
MOST_UNCALLED = 400
CACHES = frozenset(
    {"lru_cache", "cache", "memoize", "cached", "cache_resource", "cached_property", "singleton"}
)


def interpret(program: Program, where: Where) -> list[Found]:
    """Find the faults of a program.

    Args:
        program: what a front end gave.
        where: words for a place, for the messages.

    Returns:
        the faults, in the order of discovery.
    """
    events = Events(where, program.language)
    interpreter = _Interpreter(Machine(program, events))
    with suppress(Enough, RecursionError):  # what was found until there stands
        interpreter.program()
    return events.found


class _Frame:
    """A function that is being run: the states in which it returns."""

    def __init__(self) -> None:
        self.returns: list[State] = []


class _Turns:
    """A loop that is being run: the states in which it is left, or goes on early."""

    def __init__(self) -> None:
        self.breaks: list[State] = []
        self.continues: list[State] = []


class _Interpreter:
    """Runs forms on a machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.calls = Calls(machine, self.call_value)
        self.root = Scope()
        self.frames: list[_Frame] = [_Frame()]
        self.turns: list[_Turns] = []
        self.running: list[Function] = []
        self.called: set[Function] = set()
        self.closures: list[Closure] = []
        self.classes: list[ClassValue] = []
        self.unbound: dict[str, Value] = {}
        self.handlers: dict[type[Form], Callable[..., Value]] = {
            Name: self.name,
            Constant: lambda form, scope: Const(form.at, NO_LOOPS, form.value),
            Reference: lambda form, scope: Ref(form.at, NO_LOOPS, form.path),
            Attribute: self.attribute,
            Index: self.index,
            Call: self.call,
            Function: self.function,
            Class: self.make_class,
            Group: self.group,
            Record: self.record,
            Operation: self.operation,
            Block: self.block,
            Branch: self.branch,
            Assign: self.assign,
            Loop: self.loop,
            Return: self.leave_function,
            Leave: self.leave,
            With: self.with_context,
            Try: self.attempt,
            StarImport: self.star_import,
        }

    # The whole

    def program(self) -> None:
        """Run the program, and then what nothing called."""
        self.run(self.machine.program.body, self.root)
        self.machine.alive = True
        done = 0
        while done < MOST_UNCALLED and (todo := self.uncalled()):
            for closure in todo[: MOST_UNCALLED - done]:
                done += 1
                self.run_alone(closure)

    def uncalled(self) -> list[Closure]:
        """The functions that no one has called yet, each once."""
        found: dict[Function, Closure] = {}
        for closure in self.closures:
            assert closure.form is not None
            if closure.form not in self.called:
                found.setdefault(closure.form, closure)
        self.closures.clear()
        return list(found.values())

    def run_alone(self, closure: Closure) -> None:
        """Run a function that the file does not call, as if the program had trained nothing yet."""
        machine = self.machine
        assert closure.form is not None
        if closure.form in self.called:
            return
        before = machine.state
        machine.state, machine.alive, machine.path = before.copy(), True, ()
        machine.state.set(None, "#seed", None)
        for thing in machine.models:
            state = machine.state.get(thing, "#model")
            if isinstance(state, ModelState) and state.trained is not None:
                machine.excuse(thing)
        for key in [key for key in machine.state.facts if key[1] in ("#users", "#trained")]:
            machine.state.facts.pop(key)
        at = closure.form.at
        if closure.cls is not None and closure.owner is None:
            owner = self.instantiate(closure.cls, None, at)
            for name in ("setUp", "setup_method", "setUpClass"):
                if name in closure.cls.methods and machine.alive:
                    self.invoke(closure.cls.methods[name], None, at, owner)
            machine.alive = True
            self.invoke(closure, None, at, owner)
        else:
            self.invoke(closure, None, at, closure.owner)
        machine.state, machine.alive = before, True

    def run(self, form: Form, scope: Scope) -> Value:
        """Run a form, where the path has not ended."""
        self.machine.tick()
        if not self.machine.alive:
            return Value(form.at)
        return self.handlers[type(form)](form, scope)

    # Names

    def find(self, name: str, scope: Scope | None, only_functions: bool = False) -> Value | None:
        while scope is not None:
            found = self.machine.state.get(scope, name)
            if isinstance(found, Value) and (
                not only_functions or isinstance(found, Closure | ClassValue | Ref)
            ):
                return found
            scope = scope.parent
        return None

    def name(self, form: Name, scope: Scope, only_functions: bool = False) -> Value:
        found = self.find(form.id, scope, only_functions and self.machine.is_r)
        if found is not None:
            return found
        if self.machine.is_r:
            if form.id in ("tf", "keras"):
                return Ref(form.at, NO_LOOPS, "tensorflow" if form.id == "tf" else "keras")
            if only_functions or known.r(form.id):
                return Ref(form.at, NO_LOOPS, form.id)
        else:
            for module in self.machine.stars:
                if known.python(f"{module}.{form.id}"):
                    return Ref(form.at, NO_LOOPS, f"{module}.{form.id}")
            if only_functions and form.id in known.HARMLESS_BUILTINS | {"range", "map", "filter"}:
                return Ref(form.at, NO_LOOPS, form.id)
        if form.id not in self.unbound:  # one value for a name, at a place of its own
            place = At(0, len(self.unbound), 0, 0)
            self.unbound[form.id] = Value(place)
        return self.unbound[form.id]

    def star_import(self, form: StarImport, scope: Scope) -> Value:
        self.machine.stars.append(form.module)
        return Value(form.at)

    def bind(self, name: str, value: Value, scope: Scope, outer: bool = False) -> None:
        """Give a name a value, in this scope or an outer one."""
        if outer or name in scope.outer:
            place = scope.parent
            while place is not None and self.machine.state.get(place, name) is None:
                place = place.parent
            scope = place or self.root
        if isinstance(value, Thing) and not value.label:
            value.label = name
        self.machine.state.set(scope, name, value)

    def assign(self, form: Assign, scope: Scope) -> Value:
        value = self.run(form.value, scope)
        if not self.machine.alive:
            return value
        self.note_alias(form, value)
        self.assign_to(form.target, value, scope, form.outer, form.value)
        return value

    def note_alias(self, form: Assign, value: Value) -> None:
        """``name = other`` gives a model a second name."""
        names = isinstance(form.target, Name) and isinstance(form.value, Name)
        if names and isinstance(value, Thing) and value.kind is Kind.MODEL:
            assert isinstance(form.target, Name)
            assert isinstance(form.value, Name)
            new, old = form.target.id, form.value.id
            if new != old and not new.startswith("."):
                machine = self.machine
                alias = Alias(form.at, new, old, machine.path, machine.next_time())
                machine.state.set(value, f"#alias {new}", alias)

    def assign_to(
        self, target: Form, value: Value, scope: Scope, outer: bool = False, source: Form | None = None
    ) -> None:
        match target:
            case Name():
                self.bind(target.id, value, scope, outer)
            case Group():
                self.unpack(target, value, scope, source)
            case Attribute():
                self.set_attribute(self.run(target.of, scope), target.name, value)
            case Index():
                self.set_item(self.run(target.of, scope), self.run(target.key, scope), value, target, scope)
            case Call() if target.arguments:  # R's names(x) <- value
                inner = target.arguments[0].value
                if isinstance(inner, Name):
                    self.bind(inner.id, Value(target.at), scope)

    def unpack(self, target: Group, value: Value, scope: Scope, source: Form | None) -> None:
        items = self.machine.items(value)
        forms = source.items if isinstance(source, Group) else ()
        spread = any(item.spread for item in target.items)
        if items is None or spread or len(items) != len(target.items):
            for item in target.items:
                part = Value(item.value.at, value.loops)
                if isinstance(value, Part | Folds):
                    part = (
                        Part(part.origin, NO_LOOPS, value.whole)
                        if isinstance(value, Part)
                        else Value(part.origin)
                    )
                self.assign_to(item.value, part, scope)
            return
        for index, (item, inner) in enumerate(zip(target.items, items, strict=True)):
            if len(forms) == len(items):
                self.note_alias(Assign(target.at, item.value, forms[index].value), inner)
            self.assign_to(item.value, inner, scope)

    def set_attribute(self, of: Value, name: str, value: Value) -> None:
        machine = self.machine
        if name == "trainable":
            if isinstance(of, Thing) and of.kind is Kind.LAYER:
                machine.state.set(of, "#frozen", True)
            machine.excuse_all(touched=True)
        elif isinstance(of, Object | ClassValue) or (isinstance(of, Thing) and of.cls is not None):
            machine.state.set(of, f".{name}", value)
        elif isinstance(of, Part) and of.whole is not None:
            machine.excuse(of.whole)
        if isinstance(value, Thing) and not value.label:
            value.label = f"self.{name}" if isinstance(of, Object) else name
        if isinstance(of, Container):
            self.set_key(of, name, value)

    def set_item(self, of: Value, key: Value, value: Value, target: Index, scope: Scope) -> None:
        if isinstance(of, Container):
            self.set_key(of, constant(key), value)
        elif isinstance(of, Part) and of.whole is not None:
            self.machine.excuse(of.whole)
        elif self.machine.is_r and isinstance(target.of, Name) and not isinstance(of, Thing):
            self.bind(target.of.id, Value(target.at), scope)

    def set_key(self, of: Container, key: object, value: Value) -> None:
        """``of[key] = value``; a key that is not known makes all of it unknown."""
        state = self.machine.state
        keyed = state.get(of, "#keyed")
        state.drop(of, "#items")
        if isinstance(key, str | int) and isinstance(keyed, dict | None):
            state.set(of, "#keyed", {**(keyed or {}), key: value})
        else:
            state.drop(of, "#keyed")

    # Values

    def attribute(self, form: Attribute, scope: Scope) -> Value:
        return self.attribute_of(self.run(form.of, scope), form.name, form.at)

    def attribute_of(self, of: Value, name: str, at: At) -> Value:
        machine = self.machine
        match of:
            case Ref():
                return Ref(at, of.loops, f"{of.path}.{name}")
            case Part():
                return Part(at, NO_LOOPS, of.whole)
            case Tensor():
                return Tensor(at, NO_LOOPS, of.applied)
            case Container() if machine.is_r:
                return self.calls.item(of, Const(at, NO_LOOPS, name), at)
        if isinstance(of, Object | ClassValue) or (isinstance(of, Thing) and of.cls is not None):
            found = self.member(of, name, at)
            if found is not None:
                return found
        if isinstance(of, Thing) and of.kind is Kind.MODEL:
            return self.of_model(of, name, at)
        if isinstance(of, Thing) and of.kind is Kind.LAYER and name in ("output", "input"):
            return Tensor(at)
        return Value(at, of.loops)

    def of_model(self, model: Thing, name: str, at: At) -> Value:
        """What belongs to a model: its layers and weights, its tensors; nothing else matters."""
        if name in ("output", "outputs", "input", "inputs"):
            return Tensor(at, NO_LOOPS, self.machine.state.model(model).layers)
        if name == "layers" or "weights" in name or "variables" in name:
            return Part(at, NO_LOOPS, model)
        return Value(at)

    def member(self, of: Value, name: str, at: At) -> Value | None:
        """An attribute of an instance of one of the file's classes."""
        found = self.machine.state.get(of, f".{name}")
        if isinstance(found, Value):
            return found
        cls = of if isinstance(of, ClassValue) else getattr(of, "cls", None)
        if not isinstance(cls, ClassValue):
            return None
        method = cls.methods.get(name)
        if method is None or method.form is None:
            found = self.machine.state.get(cls, f".{name}")
            return found if isinstance(found, Value) else None
        decorators = {_last_name(decorator) for decorator in method.form.decorators}
        if isinstance(of, ClassValue) or "staticmethod" in decorators:
            return method if "classmethod" not in decorators else self.bound(method, cls)
        bound = self.bound(method, cls if "classmethod" in decorators else of)
        return self.invoke(bound, [], at, bound.owner) if "property" in decorators else bound

    def bound(self, method: Closure, owner: Value) -> Closure:
        return Closure(method.origin, NO_LOOPS, method.form, method.scope, owner, method.cls)

    def index(self, form: Index, scope: Scope) -> Value:
        of, key = self.run(form.of, scope), self.run(form.key, scope)
        return self.calls.item(of, key, form.at)

    def group(self, form: Group, scope: Scope) -> Value:
        items: list[Value] | None = []
        named: dict[object, Value] = {}
        for item in form.items:
            value = self.run(item.value, scope)
            inner = self.machine.items(value) if item.spread else (value,)
            if items is not None:
                items = None if inner is None or len(items) > 64 else [*items, *inner]
            if item.name is not None:
                named[item.name] = value
        made = self.machine.container(form.at, items)
        if named:
            self.machine.state.set(made, "#keyed", named)
        return made

    def record(self, form: Record, scope: Scope) -> Value:
        made, keyed, certain = Container(form.at), {}, True
        for key, value in zip(form.keys, form.values, strict=True):
            known_key = None if key is None else constant(self.run(key, scope))
            inner = self.run(value, scope)
            if isinstance(known_key, str | int):
                keyed[known_key] = inner
            else:
                certain = False
        if certain:
            self.machine.state.set(made, "#keyed", keyed)
        return made

    def operation(self, form: Operation, scope: Scope) -> Value:
        values = [self.run(part, scope) for part in form.parts]
        machine = self.machine
        if form.operator in ("+", "*") and len(values) == 2:
            left, right = (machine.items(value) for value in values)
            if form.operator == "+" and left is not None and right is not None:
                return machine.container(form.at, left + right)
            times = constant(values[1])
            if form.operator == "*" and left is not None and isinstance(times, int):
                return machine.container(form.at, left * max(0, min(times, MOST_ITEMS)))
        if form.operator in ("+", "*", "-", "/", "^", "**", "Sub", "Div", "Pow", "Mult", "FloorDiv", ":"):
            loops = NO_LOOPS.union(*(value.loops for value in values))
        else:
            loops = NO_LOOPS
        applied = machine.applied(values)
        if any(isinstance(value, Tensor) for value in values):
            return Tensor(form.at, loops, applied)
        return Value(form.at, loops)

    # Functions

    def function(self, form: Function, scope: Scope) -> Value:
        closure = Closure(form.at, NO_LOOPS, form, scope)
        self.closures.append(closure)
        if not self.machine.is_r:  # Python evaluates defaults once, where the function is defined
            for parameter in form.parameters:
                if parameter.default is not None:
                    value = self.run(parameter.default, scope)
                    self.machine.state.set(closure.form, f"#default {parameter.name}", value)
        return closure

    def make_class(self, form: Class, scope: Scope) -> Value:
        cls = ClassValue(form.at, NO_LOOPS, form)
        for base in form.bases:
            value = self.run(base, scope)
            if isinstance(value, ClassValue):
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
        callee = form.function
        if isinstance(callee, Attribute):
            of = self.run(callee.of, scope)
            given = self.given(form.arguments, scope)
            return self.method_call(of, callee, given, form.at)
        function = self.name(callee, scope, True) if isinstance(callee, Name) else self.run(callee, scope)
        given = self.given(form.arguments, scope)
        return self.call_value(function, given, form.at)

    def given(self, arguments: Iterable[Argument], scope: Scope) -> list[Given]:
        return [Given(self.run(a.value, scope), a.name, a.value, a.spread) for a in arguments]

    def call_value(self, function: Value, given: list[Given], at: At) -> Value:
        if not self.machine.alive:
            return Value(at)
        match function:
            case Closure():
                return self.invoke(function, given, at, function.owner)
            case ClassValue():
                return self.instantiate(function, given, at)
            case Thing() if function.kind in (Kind.LAYER, Kind.MODEL):
                return self.calls.apply(function, [one.value for one in given], at)
            case Part():
                return self.calls.part_method(function, "call", given, at)
        ref = reference(function)
        if ref is not None:
            if ref.path in ("map", "filter") and len(given) > 1:
                return self.map(given, at)
            value = self.calls.named(ref.path, given, at)
            if ref.loops and isinstance(value, Thing):
                value.loops |= ref.loops
            return value
        return self.calls.other_method(function, "", given, at)

    def method_call(self, of: Value, callee: Attribute, given: list[Given], at: At) -> Value:
        name = callee.name
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
                return self.calls.container_method(of, name, given, at)
        if name == "optimize" and given and isinstance(given[0].value, Closure):
            return self.repeat(given[0].value, at)
        return self.calls.other_method(of, name, given, at)

    def map(self, given: list[Given], at: At) -> Value:
        """Python's ``map(f, items)``."""
        function, over = given[0].value, given[1]
        collected = []
        serial = self.machine.next_time()
        path = self.machine.path
        for turn, item in enumerate(self.rounds(over.value, serial, over.form.at)):
            self.machine.path = (*path, Step(at, serial, turn))
            collected.append(self.call_value(function, [Given(item, None, over.form)], at))
        self.machine.path = path
        return self.machine.container(at, collected)

    def repeat(self, function: Closure, at: At) -> Value:
        """``study.optimize(objective)``: the function is called again and again."""
        serial, path = self.machine.next_time(), self.machine.path
        for turn in range(2):
            self.machine.path = (*path, Step(at, serial, turn))
            self.call_value(function, [Given(Value(at), None, function.form or Name(at, ""))], at)
        self.machine.path = path
        return Value(at)

    def instantiate(self, cls: ClassValue, given: list[Given] | None, at: At) -> Value:
        made: Value
        if cls.kind is not None:
            made = self.calls.subclass(cls, at, given or [])
        else:
            made = Object(at, NO_LOOPS, cls)
        init = cls.methods.get("__init__")
        if init is not None:
            self.invoke(init, given, at, made)
        elif given:
            self.machine.escape([one.value for one in given])
        return made

    def invoke(self, closure: Closure, given: list[Given] | None, at: At, owner: Value | None) -> Value:
        """Run a function of the file; arguments of None are all unknown."""
        form, machine = closure.form, self.machine
        assert form is not None
        if form in self.running or len(self.running) >= DEEPEST_CALL or form.generator:
            machine.escape([one.value for one in given or ()])
            if form.generator:
                return Value(at)
            return Value(at)
        self.called.add(form)
        scope = Scope(closure.scope, form.outer)
        self.parameters(form, closure, given, scope, owner)
        path, frame, turns = machine.path, _Frame(), self.turns
        machine.path = (*path, Step(at, machine.next_time()))
        self.frames.append(frame)
        self.turns = []
        self.running.append(form)
        value = self.run(form.body, scope)
        self.running.pop()
        self.frames.pop()
        self.turns, machine.path = turns, path
        if machine.alive:
            if form.implicit:
                machine.state.set(scope, "#returned", value)
            frame.returns.append(machine.state)
        return self.returned(frame, scope, form, at)

    def returned(self, frame: _Frame, scope: Scope, form: Function, at: At) -> Value:
        """Where a function's paths meet: its value, and the state after it."""
        machine = self.machine
        after = joined(frame.returns)
        if after is None:  # it always raises, or so it seems
            machine.alive = False
            return Value(at)
        machine.state, machine.alive = after, True
        value = after.get(scope, "#returned")
        if any(_last_name(decorator) in CACHES for decorator in form.decorators):
            return Value(form.at)
        return value if isinstance(value, Value) else Const(at)

    def parameters(
        self,
        form: Function,
        closure: Closure,
        given: list[Given] | None,
        scope: Scope,
        owner: Value | None,
    ) -> None:
        """Bind a function's parameters to what it is given."""
        machine, state = self.machine, self.machine.state
        decorators = {_last_name(decorator) for decorator in form.decorators}
        positional = [] if given is None else [one for one in given if one.name is None and not one.spread]
        named = {} if given is None else {one.name: one for one in given if one.name is not None}
        spread = given is None or any(one.spread for one in given)
        unpacked = [] if given is None else [one for one in given if one.spread]
        loops = machine.loops_of(unpacked)
        parameters = list(form.parameters)
        if owner is not None and closure.cls is not None and parameters and "staticmethod" not in decorators:
            state.set(scope, parameters.pop(0).name, owner)
        for index, parameter in enumerate(parameters):
            unknown = Value(At(form.at.line, form.at.column, -index - 1, form.at.end_line), loops)
            for one in unpacked:
                keyed = state.get(one.value, "#keyed")
                if isinstance(keyed, dict) and isinstance(keyed.get(parameter.name), Value):
                    unknown = keyed[parameter.name]
            if parameter.rest:
                value: Value = machine.container(form.at, None)
                if positional and not machine.is_r:
                    value = machine.container(form.at, [one.value for one in positional])
                positional = []
            elif parameter.name in named:
                value = named[parameter.name].value
            elif positional:
                value = positional.pop(0).value
            elif parameter.default is not None and given is not None and not spread:
                value = self.default(form, parameter.name, parameter.default, scope)
            else:
                value = unknown
            state.set(scope, parameter.name, value)

    def default(self, form: Function, name: str, default: Form, scope: Scope) -> Value:
        if self.machine.is_r:
            return self.run(default, scope)
        found = self.machine.state.get(form, f"#default {name}")
        return found if isinstance(found, Value) else Value(default.at)

    # Control flow

    def block(self, form: Block, scope: Scope) -> Value:
        value: Value = Const(form.at)
        for item in form.items:
            if not self.machine.alive:
                break
            value = self.run(item, scope)
        return value

    def end_path(self) -> None:
        self.machine.alive = False

    def leave_function(self, form: Return, scope: Scope) -> Value:
        value = Const(form.at) if form.value is None else self.run(form.value, scope)
        if self.machine.alive:
            state = self.machine.state
            place: Scope | None = scope
            state.set(place, "#returned", value)
            self.frames[-1].returns.append(state)
            self.end_path()
        return value

    def leave(self, form: Leave, scope: Scope) -> Value:
        if self.turns and form.kind != "raise":
            turns = self.turns[-1]
            (turns.breaks if form.kind == "break" else turns.continues).append(self.machine.state)
        self.end_path()
        return Value(form.at)

    def branch(self, form: Branch, scope: Scope) -> Value:
        machine = self.machine
        tests = [self.run(test, scope) for test in form.tests]
        if not machine.alive:
            return Value(form.at)
        options = form.options
        truth = constant(tests[0]) if len(tests) == 1 else None
        if isinstance(truth, bool) and len(options) == 2:
            options = (options[0] if truth else options[1],)
        elif form.tests and _is_main(form.tests[0]):
            options = options[:1]
        if len(options) == 1:
            return self.run(options[0], scope)
        before, after = machine.state, []
        machine.tick(len(before.facts) // 20)
        for option in options:
            machine.state, machine.alive = before.copy(), True
            value = self.run(option, scope)
            if machine.alive:
                machine.state.set(form, "#value", value)
                after.append(machine.state)
        return self.meet(after, form)

    def meet(self, states: list[State], form: Form) -> Value:
        """Go on where paths meet."""
        state = joined(states)
        self.machine.alive = state is not None
        if state is None:
            return Value(form.at)
        self.machine.state = state
        value = state.get(form, "#value")
        state.drop(form, "#value")
        return value if isinstance(value, Value) else Value(form.at)

    def loop(self, form: Loop, scope: Scope) -> Value:
        machine = self.machine
        over = Value(form.at) if form.over is None else self.run(form.over, scope)
        if not machine.alive:
            return Value(form.at)
        serial, path = machine.next_time(), machine.path
        folds = isinstance(over, Folds) or is_fold_name(form.target) or is_fold_name(form.over)
        turns = _Turns()
        self.turns.append(turns)
        collected: list[Value] = []
        items = self.rounds(over, serial, form.at) if form.target is not None else [Value(form.at)] * 2
        for turn, item in enumerate(items):
            machine.path = (*path, Step(form.at, serial, turn, folds))
            if form.target is not None:
                self.assign_to(
                    form.target, Value(item.origin) if folds and type(item) is Value else item, scope
                )
            collected.append(self.run(form.body, scope))
            if not self.next_turn(turns):
                break
        machine.path = path
        self.turns.pop()
        ends = [*turns.breaks, *([machine.state] if machine.alive else [])]
        self.meet(ends, form)
        if form.otherwise is not None and machine.alive and not turns.breaks:
            self.run(form.otherwise, scope)
        return machine.container(form.at, collected if form.collects else None)

    def next_turn(self, turns: _Turns) -> bool:
        """The end of a round, where those that went on early come too: whether there is another."""
        machine = self.machine
        states = [*turns.continues, *([machine.state] if machine.alive else [])]
        turns.continues.clear()
        state = joined(states)
        machine.alive = state is not None
        if state is not None:
            machine.state = state
        return machine.alive

    def rounds(self, over: Value, serial: int, at: At) -> list[Value]:
        """What a loop's variable is in each round that is run: two stand for all, if nothing tells."""
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

    def with_context(self, form: With, scope: Scope) -> Value:
        machine = self.machine
        context = self.run(form.context, scope)
        if form.target is not None:
            self.assign_to(form.target, context if isinstance(context, Thing) else Value(form.at), scope)
        goes_on = isinstance(context, Thing) and context.kind is Kind.CONTINUING
        if goes_on:
            machine.continuing += 1
        value = self.run(form.body, scope)
        if goes_on:
            machine.continuing -= 1
            machine.excuse_all()
        return value

    def attempt(self, form: Try, scope: Scope) -> Value:
        machine = self.machine
        before = machine.state.copy()
        value = self.run(form.body, scope)
        late = machine.state if machine.alive else before
        after = [machine.state] if machine.alive else []
        for handler in form.handlers:
            machine.state, machine.alive = late.copy(), True
            self.run(handler, scope)
            if machine.alive:
                after.append(machine.state)
        self.meet(after, form)
        if machine.alive:
            self.run(form.final, scope)
        return value


def _last_name(form: Form) -> str:
    """The last name of a decorator: ``cache`` of ``@functools.cache``."""
    if isinstance(form, Call):
        form = form.function
    if isinstance(form, Attribute):
        return form.name
    return form.id if isinstance(form, Name) else ""


def _is_main(form: Form) -> bool:
    """``if __name__ == "__main__"``."""
    return isinstance(form, Operation) and any(
        isinstance(part, Name) and part.id == "__name__" for part in form.parts
    )
