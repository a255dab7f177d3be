"""Lists, dictionaries and what is computed: values that are made of other values.

In: forms such as ``[a, b]``, ``{"a": b}``, ``a + b`` and ``a[b]``. Out: their values.
"""

from __future__ import annotations

from fairlane.check import truths
from fairlane.check.evaluate import MOST_ITEMS, Evaluator
from fairlane.check.forms import Group, Index, Operation, Record
from fairlane.check.machine import constant
from fairlane.check.values import NO_LOOPS, Const, Container, Scope, Tensor, Value


class Composing(Evaluator):
    """Evaluates what is made of parts."""

    def index(self, form: Index, scope: Scope) -> Value:
        """``of[key]``."""
        of, key = self.run(form.of, scope), self.run(form.key, scope)
        found = self.calls.containers.item(of, key, form.at)
        items = self.machine.items(of)
        if key.loops and items and type(found) is Value and all(isinstance(item, Const) for item in items):
            found.loops |= key.loops  # rates[i], where rates are written out: one of a loop's variants
        return found

    def group(self, form: Group, scope: Scope) -> Value:
        """A list, with its items as long as all of them are known."""
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
        """A dictionary, with its items as long as all keys are known."""
        made, keyed, certain = Container(form.at), {}, True
        for key, value in zip(form.keys, form.values, strict=True):
            known_key = None if key is None else constant(self.run(key, scope))
            inner = self.run(value, scope)
            if isinstance(known_key, str | int | float):
                keyed[known_key] = inner
            else:
                certain = False
        if certain:
            self.machine.state.set(made, "#keyed", keyed)
        return made

    def either(self, form: Operation, scope: Scope) -> Value:
        """``model or build()``: what stands behind is evaluated only where that may be."""
        ends = form.operator == "Or"
        for index, part in enumerate(form.parts):
            value = self.run(part, scope)
            truth = truths.is_true(value)
            if truth is ends or index == len(form.parts) - 1:
                return value
            if truth is None:
                break
        for part in form.parts[index + 1 :]:
            self.run(part, scope)
        return Value(form.at)

    def operation(self, form: Operation, scope: Scope) -> Value:
        """Something computed: a tensor of tensors, a list of lists, or a value that is not followed."""
        if form.operator in ("Or", "And"):
            return self.either(form, scope)
        values = [self.run(part, scope) for part in form.parts]
        machine = self.machine
        if (truth := truths.holds(form.operator, values, machine)) is not None:
            return Const(form.at, NO_LOOPS, truth)
        if form.operator == "zip":
            return self.calls.containers.zipped(values, form.at)
        if form.operator == "dict" and (models := machine.items(values[0])):
            made = Container(form.at)  # its keys are not known, but each stands for a value
            machine.state.set(made, "#keyed", {f"\0{i}": value for i, value in enumerate(models)})
            return made
        if form.operator in ("+", "*") and len(values) == 2:
            left, right = (machine.items(value) for value in values)
            if form.operator == "+" and left is not None and right is not None:
                return machine.container(form.at, left + right)
            times = constant(values[1] if left is not None else values[0])
            left = left if left is not None or form.operator != "*" else right
            if form.operator == "*" and left is not None:
                count = (
                    times if isinstance(times, int) else 2
                )  # of a number that is not known, two stand for all
                return machine.container(form.at, left * max(0, min(count, MOST_ITEMS)))
        if form.operator in ("+", "*", "-", "/", "^", "**", "Sub", "Div", "Pow", "Mult", "FloorDiv", ":"):
            loops = NO_LOOPS.union(*(value.loops for value in values))
        else:
            loops = NO_LOOPS
        applied = machine.applied(values)
        if any(isinstance(value, Tensor) for value in values):
            return Tensor(form.at, loops, applied)
        return Value(form.at, loops)
