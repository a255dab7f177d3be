"""What calls of Keras's functions and methods do.

In: a function or method, and its arguments' values. Out: the value of the call, and what it changes in the
`Machine`: models made, compiled, trained, given weights; seeds set. What is unknown is taken to be able to
give a model new weights, so that nothing is claimed of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fairlane.check import known
from fairlane.check.containers import TUPLING, Containers
from fairlane.check.files import Files, file_of
from fairlane.check.forms import Argument, At, Attribute, Form, Group, Name
from fairlane.check.known import Kind, Meaning
from fairlane.check.machine import Given, Invoke, Machine, constant, path_of
from fairlane.check.others import SETTERS, Others
from fairlane.check.purpose import Reading
from fairlane.check.unknown import Evidence
from fairlane.check.unknown import Use as UseOf
from fairlane.check.values import (
    NO_LOOPS,
    Alias,
    ClassValue,
    Closure,
    Container,
    Made,
    Part,
    Partial,
    Ref,
    Step,
    Tensor,
    Thing,
    Training,
    Use,
    Value,
)

BUILDER_TAKERS = frozenset({"KerasClassifier", "KerasRegressor"})
THREADS = frozenset({"ThreadPoolExecutor", "ThreadPool"})
CONVERSIONS = frozenset(
    {"int", "float", "round", "abs", "str", "as.numeric", "as.integer", "as.double", "exp"}
)
DATA = frozenset(
    {"x", "y", "data", "generator", "validation_data", "callbacks", "verbose", "object", "model"}
)


class Calls(Others):
    """Keras, as far as the rules need it.

    Args:
        machine: the program being interpreted.
        invoke: what calls a function of the file.
    """

    def __init__(self, machine: Machine, invoke: Invoke) -> None:
        super().__init__(machine)
        self.invoke = invoke
        self.containers = Containers(machine)
        self.files = Files(machine)
        self.evidence = Evidence(machine.program.lines, machine.is_r)

    # Functions by their full names

    def named(self, path: str, given: list[Given], at: At) -> Value:
        """Call something imported, or one of R's own functions."""
        meaning = self.machine.meaning(path)
        if meaning is not None:
            return self.meant(meaning, given, at)
        last = path.replace("::", ".").replace("$", ".").rsplit(".", 1)[-1]
        values = [one.value for one in given]
        if "seed" in last.lower() and not path.startswith("numpy") and not path.endswith("set.seed"):
            self.seeded(at)
        if last == "partial" and given:
            return Partial(at, NO_LOOPS, given[0].value, tuple(given[1:]))
        if last in BUILDER_TAKERS or path.partition(".")[0] in ("keras_tuner", "kerastuner"):
            self.handed_over(given, at)
        if path == "itertools.repeat" and given:
            return self.machine.container(at, [given[0].value] * 2)
        if path == "joblib.delayed" and given and self.evidence.has_threads:
            return given[0].value
        if last in THREADS:
            return Made(at, NO_LOOPS, path)
        if last == "save_model" and len(given) > 1 and isinstance(given[0].value, Thing):
            self.files.saved(given[0].value, given[1].value, at)
        if (last in SETTERS and path != "assign") or "reset" in last or "reinit" in last:
            self.machine.excuse_all()
        if last in TUPLING | {"range", "len", "dict"} and "." not in path:
            return self.containers.builtin(last, given, at)
        if last in CONVERSIONS:
            return Value(at, self.machine.loops_of(given))
        if not self.is_harmless(path):
            self.machine.escape(values)
        return self.result(values, at)

    def handed_over(self, given: list[Given], at: At) -> None:
        """A function is handed to what calls it for each trial: does it build a model each time?"""
        machine, path, serial = self.machine, self.machine.path, self.machine.next_time()
        for one in given:
            if not isinstance(one.value, Closure) or not machine.alive:
                continue
            made = []
            for turn in range(2):
                machine.path = (*path, Step(at, serial, turn, Reading(records=True)))
                made.append(self.invoke(one.value, [Given(Value(at), None, one.form)], at))
            machine.path = path
            first, second = made
            if first is second and isinstance(first, Thing) and first.kind is Kind.MODEL:
                machine.events.one_for_all(first, one.form.at)

    def is_harmless(self, path: str) -> bool:
        """Whether a function surely leaves the weights of a model as they are."""
        root = path.partition(".")[0]
        if self.machine.is_r:
            package, _, bare = path.rpartition("::")
            return bare in known.R_HARMLESS or root in known.HARMLESS_MODULES or bool(package)
        return root in known.HARMLESS_MODULES or path in known.HARMLESS_BUILTINS

    # What Keras's names do

    def meant(self, meaning: Meaning, given: list[Given], at: At) -> Value:
        """Call something of Keras's."""
        machine = self.machine
        match meaning.kind:
            case Kind.METHOD:
                return self.method_as_function(meaning.name, given, at)
            case Kind.MODEL:
                return self.model(meaning, given, at)
            case Kind.LOAD:
                loaded = machine.make(Kind.MODEL, meaning.name, at, machine.loops_of(given))
                self.files.loaded(loaded, given)
                return loaded
            case Kind.COPY:
                return self.copy(meaning, given, at)
            case Kind.SEED:
                self.seeded(at)
                return Value(at)
            case Kind.INPUT:
                return Tensor(at)
            case Kind.LAYER:
                return self.layer(meaning, given, at)
            case Kind.HARMLESS | Kind.LOSS:
                return Value(at, machine.loops_of(given))
            case _:
                thing = machine.make(meaning.kind, meaning.name, at, machine.loops_of(given))
                machine.state.set(thing, "#given", tuple(given))
                if thing.kind is Kind.CALLBACK:
                    thing.file = file_of(given)
                return thing

    def copy(self, meaning: Meaning, given: list[Given], at: At) -> Value:
        """A copy of anything that is followed is a new thing of its kind."""
        value = given[0].value if given else Value(at)
        if isinstance(value, Thing):
            made = self.machine.make(value.kind, value.name, at, value.loops)
            made.cls = value.cls
            if value.kind is Kind.INITIALIZER:
                made.name = ""  # whether it draws other numbers depends on how it was made
            return made
        if meaning.name == "deepcopy" or isinstance(value, Container):
            return Value(at)
        return self.machine.make(Kind.MODEL, meaning.name, at)

    def model(self, meaning: Meaning, given: list[Given], at: At) -> Value:
        """A model is built: of a list of layers, or from inputs to outputs."""
        machine = self.machine
        model = machine.make(Kind.MODEL, meaning.name, at, machine.loops_of(given))
        layers: set[tuple[Thing, int]] = set()
        loops = model.loops
        for one in given:
            for inner in machine.inside(one.value):
                layers |= self.layers_in(inner, meaning.name)
                loops |= inner.loops
        for layer, _ in layers:
            loops |= layer.loops
        machine.state.change(model, lambda old: replace(old, layers=frozenset(layers), loops=loops))
        return model

    def layers_in(self, value: Value, how: str) -> set[tuple[Thing, int]]:
        """The layers that a value brings into a model."""
        if isinstance(value, Tensor):
            return set(value.applied)
        if isinstance(value, Part) and value.whole is not None:
            return set(self.machine.state.model(value.whole).layers)
        if isinstance(value, Thing) and value.kind in (Kind.LAYER, Kind.MODEL) and how == "Sequential":
            return {(value, self.machine.next_time())}
        return set()

    def layer(self, meaning: Meaning, given: list[Given], at: At) -> Value:
        """A layer is made; R's functions also add it to a model, or apply it to a tensor."""
        machine = self.machine
        layer = machine.make(Kind.LAYER, meaning.name, at, machine.loops_of(given))
        if any(one.name == "trainable" and constant(one.value) is False for one in given):
            machine.state.set(layer, "#frozen", True)
        for one in given:
            for inner in machine.inside(one.value):
                if isinstance(inner, Thing) and inner.kind is Kind.INITIALIZER:
                    machine.events.used_initializer(inner, layer, one.form.at, machine.state)
        if not machine.is_r or not given or given[0].name not in (None, "object"):
            return layer
        into = given[0].value
        if isinstance(into, Thing) and into.kind is Kind.MODEL and self.is_sequential(into):
            self.add(into, layer)
            return into
        return self.apply(layer, [into], at)

    def is_sequential(self, model: Thing) -> bool:
        """Whether a layer after a model is added to it, and not applied to its outputs."""
        return model.name == "Sequential"

    def add(self, model: Thing, layer: Value) -> None:
        """``model.add(layer)``."""
        layers = self.layers_in(layer, "Sequential")
        loops = layer.loops
        self.machine.state.change(
            model, lambda old: replace(old, layers=old.layers | layers, loops=old.loops | loops)
        )

    def apply(self, layer: Thing, values: list[Value], at: At) -> Value:
        """``layer(tensor)``."""
        into = values[0] if values and self.machine.is_r else None
        if isinstance(into, Thing) and into.kind is Kind.MODEL and self.is_sequential(into):
            self.add(into, layer)  # keras_model_sequential() %>% base
            return into
        applied = self.machine.applied(values) | {(layer, self.machine.next_time())}
        return Tensor(at, layer.loops, applied)

    # Methods of models

    def method_as_function(self, name: str, given: list[Given], at: At) -> Value:
        """R's ``fit(model, ...)``."""
        named = [one for one in given if one.name in ("object", "model")]
        first = next(iter(named or [one for one in given if one.name is None]), None)
        if first is None:
            return Value(at)
        rest = [one for one in given if one is not first]
        first = replace(first, value=self.as_model(first.value, name, rest, at))
        if name == "freeze":
            self.machine.excuse_all(touched=True)
            return first.value
        if isinstance(first.value, Thing) and first.value.kind is Kind.MODEL:
            result = self.method(first.value, name, rest, at, first.form)
            returns_model = name in ("compile", *known.RESETTING_METHODS)
            return first.value if returns_model else result
        if name in known.RESETTING_METHODS:
            self.machine.excuse_all()
        return first.value if name == "compile" else Value(at)

    def as_model(self, value: Value, name: str, given: list[Given], at: At) -> Value:
        """A value whose method is called; the model that it stands for, if it is used as one."""
        if value in self.machine.assumed:
            return self.machine.assumed[value]
        if type(value) is not Value or (use := self.evidence.of(name, given)) is UseOf.NOT:
            return value
        return self.machine.assume(value, use is UseOf.DOUBTFUL, at)

    def method(self, model: Thing, name: str, given: list[Given], at: At, receiver: Form) -> Value:
        """A method of a model is called."""
        machine = self.machine
        if name == "compile":
            self.compiled(model, given, at)
        elif name in known.TRAINING:
            self.trained(model, name, given, at, receiver)
        elif name in ("add", "pop"):
            if name == "add" and given:
                self.add(model, given[0].value)
            if machine.state.model(model).trained is not None:
                machine.excuse(model)
        elif name == "get_layer":
            return Part(at, NO_LOOPS, model)
        elif name in ("save", "save_weights", "export"):
            self.files.saved(model, given[0].value if given else Value(at), at)
        elif name not in known.HARMLESS_METHODS:
            machine.excuse(model)
            if name == "load_weights":
                self.files.loaded(model, given)
        return Value(at)

    def compiled(self, model: Thing, given: list[Given], at: At) -> None:
        """``model.compile(...)``."""
        machine, uses = self.machine, []
        for index, one in enumerate(given):
            if one.name in ("optimizer", "metrics", "weighted_metrics") or (one.name is None and index < 3):
                for item, place in self.items_with_places(one):
                    if item.kind in (Kind.OPTIMIZER, Kind.METRIC):
                        uses.append(Use(item, place))
        loops = machine.loops_of(given)
        machine.state.change(
            model,
            lambda old: replace(
                old,
                compiled=at,
                compiled_path=machine.path,
                uses=tuple(uses),
                compiled_since=old.trained is not None,
                loops=old.loops | loops,
            ),
        )

    def items_with_places(self, given: Given) -> Iterable[tuple[Thing, At]]:
        """The things in an argument, each with its place where the list is written out."""
        form, items = given.form, self.machine.items(given.value)
        if items is not None and isinstance(form, Group) and len(items) == len(form.items):
            for value, item in zip(items, form.items, strict=True):
                yield from self.items_with_places(Given(value, None, _form(item)))
            return
        for inner in self.machine.inside(given.value):
            if isinstance(inner, Thing):
                yield inner, form.at

    def trained(self, model: Thing, how: str, given: list[Given], at: At, receiver: Form) -> None:
        """``model.fit(...)``."""
        machine = self.machine
        if machine.continuing:
            return
        data = [one for one in given if one.name in ("x", "y", "data", "generator")]
        data += [one for one in given if one.name is None and not one.spread][: max(0, 2 - len(data))]
        known_of = machine.state.model(model)
        name = receiver.id if isinstance(receiver, Name) else ""
        if isinstance(receiver, Attribute):
            name = f"{machine.text(receiver.at)}"
        now = Training(
            at=at,
            path=machine.path,
            name=name,
            alias=self.alias_of(receiver, model),
            data=tuple(one.value for one in data),
            how=how,
            own=tuple((one.name, one.value) for one in given if one.name and one.name not in DATA),
            meant=machine.meant(at, known_of.compiled),
            texts=tuple("" if isinstance(one.form, Name) else machine.text(one.form.at) for one in data),
            goes_on=any(one.name == "initial_epoch" for one in given),
            time=machine.next_time(),
            compiled=known_of.compiled,
            compiled_path=known_of.compiled_path,
        )
        if how == "fit":
            own = [one for one in given if one.name not in DATA and one.name is not None]
            machine.events.variant(model, now, known_of.loops | machine.loops_of(own), machine.state)
            for one in given:
                if one.name == "callbacks":
                    self.watched(model, one, at, now)
        machine.events.trained(model, now, machine.state)

    def watched(self, model: Thing, callbacks: Given, at: At, now: Training) -> None:
        """Callbacks watch a training, and may save the model."""
        for thing, place in self.items_with_places(callbacks):
            if thing.kind is Kind.CALLBACK:
                self.machine.events.used(model, Use(thing, place), at, self.machine.state)
                if thing.name == "ModelCheckpoint":
                    self.files.kept(thing.file, now)

    def alias_of(self, receiver: Form, model: Thing) -> Alias | None:
        """Whether the name that trains a model is its second one."""
        if isinstance(receiver, Name):
            of = model if model.stands_for is None else model.stands_for
            found = self.machine.state.get(of, f"#alias {receiver.id}")
            return found if isinstance(found, Alias) else None
        return None

    def subclass(self, cls: ClassValue, at: At, given: list[Given]) -> Thing:
        """An instance of a class of the file that is based on one of Keras's."""
        kind = cls.kind or Kind.MODEL
        thing = self.machine.make(kind, cls.form.name if cls.form else "", at, self.machine.loops_of(given))
        thing.cls = cls
        return thing


def _form(item: Argument) -> Form:
    return item.value


def reference(value: Value) -> Ref | None:
    """A value as something imported."""
    return value if isinstance(value, Ref) and path_of(value) else None
