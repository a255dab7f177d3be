"""Lists, dictionaries and Python's functions that make and hand on such.

In: values. Out: values; the items of a `Container` stand in the machine's state.
"""

from __future__ import annotations

from fairlane.check.forms import At
from fairlane.check.known import Kind
from fairlane.check.machine import Given, Machine, constant
from fairlane.check.values import NO_LOOPS, Const, Container, Folds, Part, Tensor, Thing, Value

TUPLING = frozenset({"list", "tuple", "sorted", "reversed", "enumerate", "zip", "iter", "tqdm", "trange"})
"""Functions that give what they are given as a list, or something that is run through like one."""


class Containers:
    """What lists and dictionaries do.

    Args:
        machine: the program being interpreted.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def builtin(self, name: str, given: list[Given], at: At) -> Value:
        """Python's own functions that hand on what they are given."""
        values = [one.value for one in given]
        machine = self.machine
        for value in values:
            if isinstance(value, Folds):
                return Folds(at, NO_LOOPS, value.forward)
        if name == "range":
            return self.range(values, at)
        if not values:
            return machine.container(at, () if name in ("list", "tuple", "dict") else None)
        items = [machine.items(value) for value in values]
        if name in ("list", "tuple", "iter", "tqdm", "reversed", "sorted") and items[0] is not None:
            order = items[0] if name != "reversed" else tuple(reversed(items[0]))
            return machine.container(at, order)
        if name == "enumerate" and items[0] is not None:
            pairs = [machine.container(at, (Const(at, NO_LOOPS, i), v)) for i, v in enumerate(items[0])]
            return machine.container(at, pairs)
        if name == "zip" and any(isinstance(value, Part) for value in values):
            return machine.container(at, [machine.container(at, values)])
        if name == "zip" and any(one is not None for one in items):
            length = min(len(one) for one in items if one is not None)
            rows = [
                [one[i] if one is not None else Value(at) for one in items] for i in range(min(length, 8))
            ]
            return machine.container(at, [machine.container(at, row) for row in rows])
        if name == "dict":
            return Container(at)
        return Value(at)

    def range(self, values: list[Value], at: At) -> Value:
        """``range(3)``: two of its numbers stand for all of them."""
        bounds = [constant(value) for value in values]
        numbers = [bound for bound in bounds if isinstance(bound, int)]
        if numbers and len(numbers) == len(bounds) < 4:
            try:
                numbers = list(range(*numbers)[:2])
            except (ValueError, OverflowError):
                return Value(at)
            return self.machine.container(at, [Const(at, NO_LOOPS, n) for n in numbers])
        return Value(at)

    def method(self, of: Container, name: str, given: list[Given], at: At) -> Value:
        """A method of a list or a dictionary."""
        machine, items = self.machine, self.machine.items(of)
        values = [one.value for one in given]
        if name == "append" and values and items is not None and len(items) < 16:
            machine.state.set(of, "#items", (*items, values[0]))
        elif name in ("items", "values") and (keyed := machine.state.get(of, "#keyed")):
            assert isinstance(keyed, dict)
            if name == "values":
                return machine.container(at, keyed.values())
            pairs = [machine.container(at, (Const(at, NO_LOOPS, k), v)) for k, v in keyed.items()]
            return machine.container(at, pairs)
        elif name == "get" and values:
            return self.item(of, values[0], at)
        elif name == "copy":
            return machine.container(at, items)
        elif name not in ("keys", "index", "count", "items", "values"):
            machine.state.drop(of, "#items")
            machine.state.drop(of, "#keyed")
        return Value(at, of.loops)

    def item(self, of: Value, key: Value, at: At) -> Value:
        """``of[key]``."""
        machine = self.machine
        if isinstance(of, Part):
            return Part(at, NO_LOOPS, of.whole)
        if isinstance(of, Container):
            wanted, items = constant(key), machine.items(of)
            keyed = machine.state.get(of, "#keyed")
            if isinstance(keyed, dict) and isinstance(wanted, str | int) and wanted in keyed:
                found = keyed[wanted]
                assert isinstance(found, Value)
                return found
            if items is not None and isinstance(wanted, int) and not isinstance(wanted, bool):
                index = wanted - 1 if machine.is_r else wanted
                if -len(items) <= index < len(items):
                    return items[index]
        if isinstance(of, Tensor):
            return Tensor(at, NO_LOOPS, of.applied)
        return Value(at, of.loops)


def over_folds(over: Value) -> bool | None:
    """Whether what a loop runs over are folds that each leave samples out; None where that is not known."""
    if isinstance(over, Thing) and over.kind is Kind.SPLITTER:  # as scikit-learn before 0.18
        return over.name != "TimeSeriesSplit"
    return not over.forward if isinstance(over, Folds) else None
