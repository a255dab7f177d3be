"""What a call's arguments give to a function's parameters, or to a dataclass's fields.

In: arguments, and the form of what is called. Out: the parameters' names, bound in the scope of the call.
"""

from __future__ import annotations

import re

from fairlane.check.composing import Composing
from fairlane.check.evaluate import last_name
from fairlane.check.forms import (
    Assign,
    At,
    Attribute,
    Block,
    Call,
    Class,
    Constant,
    Form,
    Function,
    Index,
    Name,
    Operation,
)
from fairlane.check.known import Kind
from fairlane.check.machine import Given
from fairlane.check.values import ClassValue, Closure, Ref, Scope, Value


class Binding(Composing):
    """Binds arguments."""

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
        decorators = {last_name(decorator) for decorator in form.decorators}
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
            if type(value) is Value and self.says_model(parameter.annotation, scope):
                machine.assume(value, False, form.at)
            state.set(scope, parameter.name, value)

    def says_model(self, annotation: Form | None, scope: Scope) -> bool:
        """Whether a parameter's annotation is one of Keras's models."""
        if annotation is None:
            return False
        if isinstance(annotation, Constant):
            return re.search(r"keras\.(\w+\.)*(Model|Sequential)\b", str(annotation.value)) is not None
        if isinstance(annotation, Operation):  # keras.Model | None
            return any(self.says_model(part, scope) for part in annotation.parts)
        if isinstance(annotation, Index):  # Optional[keras.Model]
            return last_name(annotation.of) == "Optional" and self.says_model(annotation.key, scope)
        if not isinstance(annotation, Name | Attribute):
            return False
        value = self.run(annotation, scope)
        meaning = self.machine.meaning(value.path) if isinstance(value, Ref) else None
        return meaning is not None and meaning.kind is Kind.MODEL

    def default(self, form: Function, name: str, default: Form, scope: Scope) -> Value:
        """A parameter's default."""
        if self.machine.is_r:
            return self.run(default, scope)
        found = self.machine.state.get(form, f"#default {name}")
        return found if isinstance(found, Value) else Value(default.at)

    def fill(self, cls: ClassValue, made: Value, given: list[Given] | None, at: At) -> None:
        """The fields of a dataclass, from the arguments or their defaults."""
        form, state = cls.form, self.machine.state
        if form is None:
            return
        arguments = given or []
        positional = [one.value for one in arguments if one.name is None and not one.spread]
        named = {one.name: one.value for one in arguments if one.name is not None}
        makers = _makers(form)
        for name in form.fields:
            if name in named:
                state.set(made, f".{name}", named[name])
            elif positional:
                state.set(made, f".{name}", positional.pop(0))
            elif name in makers and given is not None:
                function = self.run(makers[name], cls.scope)
                state.set(made, f".{name}", self.call_value(function, [], at))


def _makers(form: Class) -> dict[str, Form]:
    """What makes a field's default anew for each instance: ``field(default_factory=build)``."""
    found: dict[str, Form] = {}
    for item in form.body.items if isinstance(form.body, Block) else ():
        value = item.value if isinstance(item, Assign) else None
        if isinstance(item, Assign) and isinstance(item.target, Name) and isinstance(value, Call):
            for argument in value.arguments:
                if argument.name in ("default_factory", "factory"):
                    found[item.target.id] = argument.value
    return found
