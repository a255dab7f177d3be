"""Lists, dictionaries and Python's functions that make and hand on such.

In: values. Out: values; the items of a `Container` stand in the machine's state.
"""

from __future__ import annotations

from fairlane.check.forms import At
from fairlane.check.known import Kind
from fairlane.check.machine import Given, Machine, constant
from fairlane.check.values import (
    NO_LOOPS,
    Const,
    Container,
    FoldRows,
    Folds,
    Part,
    Tensor,
    Thing,
    Value,
)

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
        folds = next((value for value in values if isinstance(value, Folds | FoldRows)), None)
        if folds is not None:
            return self.with_folds(name, values, folds, at)
        if name == "range":
            return self.range(values, at)
        if not values:
            made = machine.container(at, () if name in ("list", "tuple", "dict") else None)
            if name == "dict":
                machine.state.set(made, "#keyed", {})
            return made
        if name == "dict":
            return self.dictionary(given, at)
        items = [machine.items(value) for value in values]
        if name in ("list", "tuple", "iter", "tqdm", "reversed", "sorted") and items[0] is not None:
            order = items[0] if name != "reversed" else tuple(reversed(items[0]))
            return machine.container(at, order)
        if name == "enumerate" and items[0] is not None:
            pairs = [machine.container(at, (Const(at, NO_LOOPS, i), v)) for i, v in enumerate(items[0])]
            return machine.container(at, pairs)
        if name == "zip":
            return self.zipped(values, at)
        return Value(at)

    def dictionary(self, given: list[Given], at: At) -> Value:
        """``dict(a=model, b=model)`` and ``dict(zip(names, models))``."""
        machine, made, keyed = self.machine, Container(at), dict[object, Value]()
        for one in given:
            rows = [machine.items(row) or () for row in machine.items(one.value) or ()]
            pairs = [(constant(row[0]), row[1]) for row in rows if len(row) == 2]
            if one.name is not None:
                pairs = [(one.name, one.value)]
            elif not pairs or len(pairs) < len(rows):
                return made
            if not all(isinstance(key, str | int | float) for key, _ in pairs):
                return made
            keyed.update(pairs)
        machine.state.set(made, "#keyed", keyed)
        return made

    def zipped(self, values: list[Value], at: At) -> Value:
        """``zip(models, rates)``: rows, where the items of one are known."""
        machine, items = self.machine, [self.machine.items(value) for value in values]
        if any(isinstance(value, Part) for value in values):
            return machine.container(at, [machine.container(at, values)])
        if all(one is None for one in items):
            return Value(at)
        length = min(len(one) for one in items if one is not None)
        rows = [[one[i] if one is not None else Value(at) for one in items] for i in range(min(length, 8))]
        return machine.container(at, [machine.container(at, row) for row in rows])

    def with_folds(self, name: str, values: list[Value], folds: Folds | FoldRows, at: At) -> Value:
        """Folds that are handed on, perhaps beside a list of models whose items are known."""
        items = self.machine.items(self.zipped(values, at) if name == "zip" else values[0])
        if items is None:
            return Folds(at, NO_LOOPS, folds.forward)
        if name == "enumerate":
            pairs = [(Const(at, NO_LOOPS, i), item) for i, item in enumerate(items)]
            items = tuple(self.machine.container(at, pair) for pair in pairs)
        made = FoldRows(at, NO_LOOPS, folds.forward)
        self.machine.state.set(made, "#items", items)
        return made

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
        elif name in ("get", "setdefault") and values:
            return self.item_or(of, values, name, at)
        elif name == "copy":
            return machine.container(at, items)
        elif name not in ("keys", "index", "count", "items", "values"):
            machine.state.drop(of, "#items")
            machine.state.drop(of, "#keyed")
        return Value(at, of.loops)

    def item_or(self, of: Container, values: list[Value], name: str, at: At) -> Value:
        """``of.get(key, default)`` and ``of.setdefault(key, default)``."""
        keyed, key = self.machine.keys(of), constant(values[0])
        default = values[1] if len(values) > 1 else Const(at)
        if keyed is not None and isinstance(key, str | int | float) and key not in keyed:
            if name == "setdefault":
                self.machine.state.set(of, "#keyed", {**keyed, key: default})
            return default
        if name == "setdefault" and keyed is None:
            self.machine.state.drop(of, "#keyed")
        return self.item(of, values[0], at)

    def item(self, of: Value, key: Value, at: At) -> Value:
        """``of[key]``."""
        machine = self.machine
        if isinstance(of, Part):
            return Part(at, NO_LOOPS, of.whole)
        if isinstance(of, Container):
            wanted, items = constant(key), machine.items(of)
            keyed = machine.state.get(of, "#keyed")
            if isinstance(keyed, dict) and isinstance(wanted, str | int | float) and wanted in keyed:
                found = keyed[wanted]
                assert isinstance(found, Value)
                return found
            if isinstance(keyed, dict) and isinstance(wanted, str) and machine.state.get(of, "#complete"):
                return Const(at)
            all_items = [*(items or ()), *(keyed.values() if isinstance(keyed, dict) else ())]
            if all_items and isinstance(all_items[0], Thing) and all(i is all_items[0] for i in all_items):
                return all_items[0]  # whichever is chosen
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
    return not over.forward if isinstance(over, Folds | FoldRows) else None
