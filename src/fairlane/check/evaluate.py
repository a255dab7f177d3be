"""Names, assignments and values: the part of the interpreter that knows what a variable holds.

In: forms without control flow. Out: their values. What is called and how paths part is known further down, in
`functions` and `interpret`.
"""

from __future__ import annotations

import re

from fairlane.check import known
from fairlane.check.builders import Builders
from fairlane.check.calls import Calls
from fairlane.check.forms import (
    Assign,
    At,
    Attribute,
    Call,
    Form,
    Group,
    Index,
    Name,
    StarImport,
)
from fairlane.check.known import Kind
from fairlane.check.machine import Given, Machine, constant
from fairlane.check.values import (
    NO_LOOPS,
    Alias,
    Bound,
    ClassValue,
    Closure,
    Const,
    Container,
    Folds,
    Made,
    Object,
    Part,
    Ref,
    Scope,
    Tensor,
    Thing,
    Value,
)

MOST_ITEMS = 8
_MODEL_NAME = re.compile(r"(?:^|_)(?:model|net|network|nn|mlp|cnn|lstm|autoencoder)_?$", re.IGNORECASE)
_BUILTINS = known.HARMLESS_BUILTINS | {"range", "map", "filter", "setattr", "globals", "locals"}


class Evaluator:
    """Evaluates forms on a machine.

    Args:
        machine: the program, before its first step.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.calls = Calls(machine, self.call_value)
        self.root = Scope()
        self.unbound: dict[str, Value] = {}
        self.builders = Builders(machine, self.find)

    def run(self, form: Form, scope: Scope) -> Value:
        """Run any form."""
        raise NotImplementedError

    def call_value(self, function: Value, given: list[Given], at: At) -> Value:
        """Call a value."""
        raise NotImplementedError

    def invoke(self, closure: Closure, given: list[Given] | None, at: At, owner: Value | None) -> Value:
        """Run a function of the file; arguments of None are all unknown."""
        raise NotImplementedError

    # Names

    def find(self, name: str, scope: Scope | None, only_functions: bool = False) -> Value | None:
        """The value that a name has, here or further out."""
        while scope is not None:
            found = self.machine.state.get(scope, name)
            if isinstance(found, Value) and (
                not only_functions or isinstance(found, Closure | ClassValue | Ref | Thing)
            ):
                return found
            scope = scope.parent
        return None

    def name(self, form: Name, scope: Scope, only_functions: bool = False) -> Value:
        """The value of a name; where it was not assigned, what the language means by it."""
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
            if only_functions and form.id in _BUILTINS:
                return Ref(form.at, NO_LOOPS, form.id)
        if form.id not in self.unbound:  # one value for a name, at a place of its own
            place = At(0, len(self.unbound), 0, 0)
            self.unbound[form.id] = Value(place)
        return self.unbound[form.id]

    def star_import(self, form: StarImport, scope: Scope) -> Value:
        """``from module import *``: its names are looked up when they are used."""
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
        """``target = value``."""
        value = self.run(form.value, scope)
        if not self.machine.alive:
            return value
        self.note_alias(form, value, scope)
        self.builders.note(form, value, scope)
        self.assign_to(form.target, value, scope, form.outer, form.value)
        return value

    def note_alias(self, form: Assign, value: Value, scope: Scope) -> None:
        """``name = other`` gives a model a second name."""
        source = self.handed_on(form.value)
        names = isinstance(form.target, Name) and isinstance(source, Name)
        unknown = type(value) is Value
        if names and (unknown or (isinstance(value, Thing) and value.kind is Kind.MODEL)):
            assert isinstance(form.target, Name)
            assert isinstance(source, Name)
            new, old = form.target.id, source.id
            if new != old and not new.startswith("."):
                machine = self.machine
                earlier = machine.state.get(value, f"#alias {new}")
                before = earlier if isinstance(earlier, Alias) and earlier.at == form.at else None
                again = self.builders.again(value, scope, before)
                alias = Alias(form.at, new, old, machine.path, machine.next_time(), source.at, again)
                machine.state.set(value, f"#alias {new}", alias)

    def handed_on(self, form: Form) -> Form:
        """What a form gives back as it is: in R, ``model |> compile(...)`` gives back the model."""
        while self.machine.is_r and isinstance(form, Call) and form.arguments:
            function = form.function
            name = (
                function.id
                if isinstance(function, Name)
                else getattr(function, "path", "").rpartition(":")[2]
            )
            if name != "compile":
                break
            form = form.arguments[0].value
        return form

    def assign_to(
        self, target: Form, value: Value, scope: Scope, outer: bool = False, source: Form | None = None
    ) -> None:
        """Give a target a value, whatever the target looks like."""
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
        """``a, b = value``."""
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
                self.note_alias(Assign(target.at, item.value, forms[index].value), inner, scope)
            self.assign_to(item.value, inner, scope)

    def set_attribute(self, of: Value, name: str, value: Value) -> None:
        """``of.name = value``; setting ``trainable`` says that the training is meant to continue."""
        machine = self.machine
        if name == "trainable":
            if isinstance(of, Thing) and of.kind is Kind.LAYER:
                machine.state.set(of, "#frozen", True)
            machine.excuse_all(touched=True)
        elif isinstance(of, Object | ClassValue | Closure) or (isinstance(of, Thing) and of.cls is not None):
            machine.state.set(of, f".{name}", value)
        elif isinstance(of, Part) and of.whole is not None:
            machine.excuse(of.whole)
        elif type(of) is Value:
            machine.state.drop(of, "#attributes")
        if isinstance(value, Thing) and not value.label:
            value.label = f"self.{name}" if isinstance(of, Object) else name
        if isinstance(of, Container):
            self.set_key(of, name, value)

    def set_item(self, of: Value, key: Value, value: Value, target: Index, scope: Scope) -> None:
        """``of[key] = value``."""
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
        if isinstance(key, str | int | float) and isinstance(keyed, dict | None):
            state.set(of, "#keyed", {**(keyed or {}), key: value})
        else:
            state.drop(of, "#keyed")

    # Values

    def attribute(self, form: Attribute, scope: Scope) -> Value:
        """``of.name``, not called."""
        return self.attribute_of(self.run(form.of, scope), form.name, form.at)

    def attribute_of(self, of: Value, name: str, at: At) -> Value:
        """What a value has by a name."""
        machine = self.machine
        match of:
            case Ref():
                return Ref(at, of.loops, f"{of.path}.{name}")
            case Part():
                return Part(at, NO_LOOPS, of.whole)
            case Tensor():
                return Tensor(at, NO_LOOPS, of.applied)
            case Container() if machine.is_r:
                return self.calls.containers.item(of, Const(at, NO_LOOPS, name), at)
        if isinstance(of, Object | ClassValue | Closure) or (isinstance(of, Thing) and of.cls is not None):
            found = self.member(of, name, at)
            if found is not None:
                return found
        of = machine.assumed.get(of, of)
        if isinstance(of, Thing) and of.kind is Kind.MODEL:
            return self.of_model(of, name, at)
        if isinstance(of, Thing) and of.kind is Kind.LAYER and name in ("output", "input"):
            return Tensor(at)
        return self.distant(of, name, at)

    def distant(self, of: Value, name: str, at: At) -> Value:
        """An attribute of something unknown; a model stays one until something is done to its owner."""
        made = Value(at, of.loops)
        if isinstance(of, Thing | Made) or not _MODEL_NAME.search(name):
            return made
        state = self.machine.state
        held = state.get(of, "#attributes")
        held = held if isinstance(held, dict) else {}
        if name not in held:
            self.machine.distant.add(made)
            state.set(of, "#attributes", {**held, name: made})
        found = held.get(name, made)
        assert isinstance(found, Value)
        return found

    def of_model(self, model: Thing, name: str, at: At) -> Value:
        """What belongs to a model: its layers and weights, its tensors; nothing else matters."""
        if name in ("output", "outputs", "input", "inputs"):
            layers = self.machine.state.model(model).layers
            whole = frozenset({(model, 0)})  # a network whose layers are not known is one layer
            return Tensor(at, NO_LOOPS, layers or whole)
        if name == "optimizer":
            uses = self.machine.state.model(model).uses
            return next((use.thing for use in uses if use.thing.kind is Kind.OPTIMIZER), Value(at))
        if name in known.TRAINING or name == "compile":
            return Bound(at, NO_LOOPS, model, name)
        if name == "layers" or "weights" in name or "variables" in name:
            return Part(at, NO_LOOPS, model)
        return Value(at)

    def member(self, of: Value, name: str, at: At) -> Value | None:
        """An attribute of an instance of one of the file's classes."""
        found = self.machine.state.get(of, f".{name}")
        if isinstance(found, Value):
            return found
        cls = of if isinstance(of, ClassValue) else getattr(of, "cls", None)
        if not isinstance(cls, ClassValue) or isinstance(of, Closure):
            return None
        method = cls.methods.get(name)
        if method is None or method.form is None:
            found = self.machine.state.get(cls, f".{name}")
            return found if isinstance(found, Value) else None
        decorators = {last_name(decorator) for decorator in method.form.decorators}
        if isinstance(of, ClassValue) or "staticmethod" in decorators:
            return method if "classmethod" not in decorators else self.bound(method, cls)
        bound = self.bound(method, cls if "classmethod" in decorators else of)
        return self.invoke(bound, [], at, bound.owner) if "property" in decorators else bound

    def bound(self, method: Closure, owner: Value) -> Closure:
        """A method with the instance it was read from."""
        return Closure(method.origin, NO_LOOPS, method.form, method.scope, owner, method.cls)


def last_name(form: Form) -> str:
    """The last name of a decorator: ``cache`` of ``@functools.cache``."""
    if isinstance(form, Call):
        form = form.function
    if isinstance(form, Attribute):
        return form.name
    return form.id if isinstance(form, Name) else ""
